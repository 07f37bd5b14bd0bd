"""$calendar-link, $revoke-calendar-links and $ics (profiles/scheduling/operations/), and the making of links."""

import secrets
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.features.scheduling.calendar import invitation
from fhir_server.interactions import stored
from fhir_server.interactions.acting import is_staff
from fhir_server.operations.call import OperationCall
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import calendar_links
from fhir_server.storage.calendar_links import CalendarLink

ACTORS = ("Practitioner", "Location", "Schedule")


def new_link(ctx: Context, actor: str, *, names: bool) -> tuple[str, str]:
    """(id, URL) of a new secret link to the calendar of `Type/id`. Only a hash of the secret is kept: this is the one
    time that the URL is known."""
    link = CalendarLink(secrets.token_hex(8), actor, names, "")
    secret = secrets.token_urlsafe(32)
    ctx.db.run([calendar_links.save(ctx.tenant.id, token_digest(secret), link)])
    return link.id, f"{ctx.base.removesuffix('/fhir')}/calendars/{secret}.ics"


def calendar_link(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Make a link: Parameters with `url` and `id`."""
    actor = _own_actor(ctx, call)
    link_id, url = new_link(ctx, actor, names=call.parameters.get("names", False))
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "url", "valueUrl": url}, {"name": "id", "valueString": link_id}],
    }


def revoke_calendar_links(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """End every link to this calendar: Parameters with the number of those that were good."""
    actor = _own_actor(ctx, call)
    ended = ctx.db.run([calendar_links.revoke_all(ctx.tenant.id, actor)])[0]
    return {"resourceType": "Parameters", "parameter": [{"name": "revoked", "valueInteger": len(ended)}]}


def appointment_ics(ctx: Context, call: OperationCall) -> FhirResponse:
    """The appointment as iCalendar text, for whoever may read it."""
    body = invitation(ctx, stored.get(ctx, "Appointment", call.id or ""))
    if not body:
        raise Unprocessable(
            "This Appointment stands in no calendar: it has no time, or is only proposed or waiting.",
            expression="Appointment.start",
            code="business-rule",
        )
    method = "CANCEL" if b"\r\nMETHOD:CANCEL\r\n" in body else "REQUEST"
    headers = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return FhirResponse(200, body, headers, f"text/calendar; charset=utf-8; method={method}")


def _own_actor(ctx: Context, call: OperationCall) -> str:
    """`Type/id` of whose calendar it is. Raises `Forbidden` unless the caller is staff or that practitioner himself."""
    actor = f"{call.type}/{call.id}"
    resource = stored.get(ctx, call.type or "", call.id or "")
    me = ctx.principal.user.fhir_user if ctx.principal.user else None
    whose = [actor, *(stored.local(ctx, each) for each in resource.get("actor", ()))]
    if not is_staff(ctx) and (me is None or me not in whose):
        raise Forbidden("Only staff, or the practitioner whose calendar it is, may do this.")
    return actor
