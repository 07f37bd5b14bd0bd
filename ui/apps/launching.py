"""Opening an app from a patient's record: `…/ui/apps/launch/{client_id}?patient=…&encounter=…`, for a new tab.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

from flask import redirect, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.apps.gallery import bp
from ui.page import may, page
from ui.registered_apps import apps

# Links of our own pages, and what people type. Browsers that do not say where a link stood count as ours.
_OURS = ("", "same-origin", "none")


@bp.get("/launch/<client_id>")
def launch(slug: str, client_id: str) -> ResponseReturnValue:
    """To the app, with a launch for the person and the patient. What another site links to asks first."""
    if not may("launch"):
        raise NotFound("There is no such page.")
    patient, encounter = request.args.get("patient", ""), request.args.get("encounter") or None
    app = next((each for each in apps() if each.id == client_id and each.from_record), None)
    if app is None or not patient:
        raise NotFound("There is no such app.")
    if request.headers.get("Sec-Fetch-Site", "") not in _OURS:
        return page("apps/launch.html", app=app, patient=fhir.read(f"Patient/{patient}"), encounter=encounter)
    given = {"client-id": client_id, "patient": {"valueId": patient}}
    if encounter is not None:
        given["encounter"] = {"valueId": encounter}
    answer = fhir.call("$launch-app", given)
    url = next(each["valueUri"] for each in answer["parameter"] if each["name"] == "url")
    # By GET: browsers hold redirects after a form to `form-action`, and the app may be on another site.
    return redirect(url, 303)
