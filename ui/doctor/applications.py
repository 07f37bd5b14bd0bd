"""The menu of apps that can be opened on a record, in the context of the visit."""

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import page
from ui.doctor.entry import bp
from ui.registered_apps import apps


@bp.get("/patient/<patient_id>/applications")
def applications(slug: str, patient_id: str) -> ResponseReturnValue:
    """The entries of the menu, for htmx."""
    if not page.may("launch"):
        raise NotFound("There is no such page.")
    known = [each for each in apps() if each.from_record and each.active]
    return page.part(
        "doctor/_applications.html", apps=known, patient_id=patient_id, visit_id=request.args.get("visit", "")
    )
