"""$launch-app (profiles/operations/launch-app.json): open a SMART app from a patient's record.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
"""

from typing import Any

from fhir_server.core.context import Context, User
from fhir_server.core.errors import Forbidden, NotFound
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy, throttle
from fhir_server.security.consent_node import role_may
from fhir_server.security.oauth import clients, launch


def launch_app(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with `url`, which the calling user opens in a browser: it is good once, within `seconds`, for this
    user and app. Raises `NotFound` for an app that cannot be opened like this, and for a patient or an encounter that
    the caller may not open."""
    user = _user(ctx)
    throttle.check(ctx.db, ctx.tenant.id, "picker", user.id)
    given = call.parameters
    patient, encounter = given["patient"], given.get("encounter")
    context = launch.launch_context(patient, encounter, intent=given.get("intent"))
    app = clients.find(ctx.db, ctx.tenant.id, given["client-id"])
    if app is None or not app.active or "launch" not in app.scope.split() or not app.launch_uri:
        raise NotFound("There is no such app that can be opened from a record.", expression="http.client-id")
    stored.get(ctx, "Patient", patient)
    if encounter is not None and not stored.find(ctx, "Encounter", [("_id", encounter), ("patient", patient)], 1):
        raise NotFound("There is no such encounter of this patient.", expression="http.encounter")
    value = launch.create(ctx.db, ctx.tenant.id, client_id=app.client_id, user_id=user.id, context=context)
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "url", "valueUri": launch.app_url(app, ctx.base, value)},
            {"name": "seconds", "valueInteger": launch.SECONDS},
        ],
    }


def _user(ctx: Context) -> User:
    """The user, if launching is open to them by this token: an app that was let see one record opens no others."""
    user = ctx.principal.user
    if user is None or not role_may(ctx.principal, "launch") or not policy.whole(ctx, "Patient", "r"):
        raise Forbidden("Only users whose role has the right launch may do this, with a token for user/Patient.r.")
    return user
