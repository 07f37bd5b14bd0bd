"""Data that was kept although it breaks rules: how much of which type, by which rule, each with its issues."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.definitions.answers import rows, values
from ui.definitions.place import bp
from ui.page import may_do, page

_INVALID = "urn:salam:CodeSystem:validation|invalid"
_ISSUE = "urn:salam:StructureDefinition:validation-issue"
_PAGE = 25


@bp.get("/review/")
def review(slug: str) -> ResponseReturnValue:
    """The counts, and the resources of the type that is chosen."""
    answer = fhir.call("$needs-review", method="GET")
    counts = [{**each, "rules": each["all"].get("rule", [])} for each in rows(answer, "count")]
    chosen = request.args.get("type", "") or (str(counts[0]["type"]) if counts else "")
    if chosen and not may_do(chosen, "s"):
        raise NotFound("There is no such page.")
    found = fhir.search(chosen, {"_tag": _INVALID, "_count": _PAGE, "_sort": "-_lastUpdated"}) if chosen else None
    most = max((int(each["total"]) for each in counts), default=1)
    return page(
        "definitions/review.html", counts=counts, chosen=chosen, most=most, more=bool(found and found.next),
        rows=[(each, issues_of(each)) for each in (found.resources if found else ())],
        partial=True in values(answer, "partial"),
    )  # fmt: skip


def issues_of(resource: dict[str, Any]) -> list[dict[str, str]]:
    """What was wrong with a resource when it was stored: severity, code, rule, expression, text, as far as stated."""
    found = []
    for extension in resource.get("meta", {}).get("extension", ()):
        if extension.get("url") == _ISSUE:
            parts = extension.get("extension", ())
            found.append({p["url"]: str(next((v for k, v in p.items() if k.startswith("value")), "")) for p in parts})
    return found
