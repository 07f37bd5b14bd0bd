"""Search in a type by its own parameters, and the results as a table."""

from typing import Any
from urllib.parse import parse_qsl

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.console.capabilities import Capability, capabilities
from ui.console.curl import command
from ui.console.place import bp
from ui.console.summaries import status, summary
from ui.fhir import Found, Refused
from ui.page import may_do, page, part

_USUAL = 30


@bp.route("/<resource_type>", methods=["GET", "POST"])
def search(slug: str, resource_type: str) -> ResponseReturnValue:
    """A page of results. The form posts its query (`q`), so that names of people stay out of addresses; a query in the
    address works as well, for links."""
    known = known_type(resource_type)
    text = request.form.get("q", "") if request.method == "POST" else request.query_string.decode()
    query = [(name, value) for name, value in parse_qsl(text.strip().removeprefix("?"), keep_blank_values=True)]
    query = [pair for pair in query if pair[0] not in ("lang", "ui_locales")]
    asked = query if any(name == "_count" for name, _ in query) else [*query, ("_count", str(_USUAL))]
    found, refused = Found([]), None
    try:
        found = fhir.search(resource_type, asked)
    except Refused as error:
        if error.status in (401, 403, 404):
            raise
        refused = error
    rows = [(each, summary(each), status(each)) for each in found.resources]
    values: dict[str, Any] = {
        "type": resource_type,
        "known": known,
        "query": "&".join(f"{name}={value}" for name, value in query if name != "_cursor"),
        "rows": rows,
        "found": found,
        "next": found.next.partition("?")[2],
        "refused": refused,
        "curl": command("GET", resource_type, query),
        "may_create": may_do(resource_type, "c") and "create" in known.interactions,
    }
    if request.headers.get("HX-Request"):
        return part("console/_results.html", **values)
    return page("console/search.html", status=refused.status if refused else 200, **values)


def known_type(name: str) -> Capability:
    """A type that the person may read. Raises `NotFound` for any other."""
    known = capabilities().get(name)
    if known is None or not (may_do(name, "s") or may_do(name, "r")):
        raise NotFound("There is no such page.")
    return known
