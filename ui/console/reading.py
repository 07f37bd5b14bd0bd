"""One resource, as it is now or as it was."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.console import json_view
from ui.console.curl import command
from ui.console.narrative import narrative
from ui.console.place import bp
from ui.console.searching import known_type
from ui.console.summaries import status, summary
from ui.page import may_do, page


@bp.get("/<resource_type>/<resource_id>")
def resource(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """The current version."""
    known_type(resource_type)
    return shown(slug, fhir.read(f"{resource_type}/{resource_id}"), f"{resource_type}/{resource_id}")


@bp.get("/<resource_type>/<resource_id>/_history/<version>")
def version(slug: str, resource_type: str, resource_id: str, version: str) -> ResponseReturnValue:
    """A version of the past."""
    known_type(resource_type)
    path = f"{resource_type}/{resource_id}/_history/{version}"
    return shown(slug, fhir.read(path), path, old=True)


def shown(slug: str, found: dict[str, Any], path: str, *, old: bool = False) -> ResponseReturnValue:
    """The page of a resource."""
    kind, resource_id = found["resourceType"], found.get("id", "")
    return page(
        "console/resource.html", type=kind, id=resource_id, resource=found, old=old,
        view=json_view.rendered(found, f"/t/{slug}/ui/console"), narrative=narrative(found), summary=summary(found),
        state=status(found), curl=command("GET", path), saved=request.args.get("saved", ""),
        may_update=may_do(kind, "u") and not old, may_delete=may_do(kind, "d") and not old,
    )  # fmt: skip
