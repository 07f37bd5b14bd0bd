"""Reminders of appointments: planned as CommunicationRequests when an appointment is booked or moved, looked at again
when they are due.

Which ones there are follows from the Appointment as it is: whatever happens to it, `replan` revokes those that do not
fit any more and plans those that are missing. One for each start and time before it, ever: `identifier` names both.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.features.notifications import facts, outbox, recipients
from fhir_server.features.notifications.composing import Occasion, Writer
from fhir_server.features.notifications.kinds import CHANNEL_SYSTEM, KIND_SYSTEM, kinds
from fhir_server.features.notifications.visit_occasions import visit_occasion
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes

GROUP = "urn:salam:reminder"
MOMENT = "urn:salam:reminder-time"
_KIND = "reminder"
_AT_ONCE = 100
# How long after its time a reminder is still looked for. Its appointment may be further away than that.
_LATE = timedelta(days=14)
_log = logging.getLogger(__name__)

Resource = Mapping[str, Any]


def replan(ctx: Context, appointments: Iterable[str]) -> None:
    """Bring the reminders of these Appointments (ids) to what the Appointments say now. Does not commit."""
    ids = list(dict.fromkeys(appointments))
    if not ids:
        return
    ctx = as_server(ctx)
    visits = stored.by_name(ctx, [f"Appointment/{id_}" for id_ in ids])
    planned = _planned(ctx, ids)
    writer, unit = Writer(ctx), Changes(ctx)
    stale: list[str] = []
    for id_ in ids:
        wanted = due_times(visits.get(f"Appointment/{id_}"), _spans(writer), ctx)
        for request in planned.get(id_, ()):
            if request["status"] in ("active", "completed") and moment_of(request) in wanted:
                del wanted[moment_of(request)]
            elif request["status"] == "active":
                stale.append(request["id"])
        for moment, due in wanted.items():
            if due > ctx.now:
                unit.add(_request(ctx, visits[f"Appointment/{id_}"], moment, due, writer))
    for request in unit.lock_all([("CommunicationRequest", id_) for id_ in stale]).values():
        if request["status"] == "active":
            _end(unit, request, "revoked", "The appointment was changed.")
    unit.run()


def due_times(visit: Resource | None, spans: Iterable[timedelta], ctx: Context) -> dict[str, datetime]:
    """When the reminders of an Appointment are due, by their `moment`; {} for one that needs none."""
    start = facts.start_of(visit) if visit is not None and visit.get("status") == "booked" else None
    if visit is None or start is None or start <= ctx.now or not facts.people_of(visit, ctx.base):
        return {}
    return {moment_text(start, span): start - span for span in spans}


def moment_text(start: datetime, span: timedelta) -> str:
    """Names a reminder among those of its Appointment: `2026-03-02T09:00:00Z|120`, start and minutes before."""
    return f"{start:%Y-%m-%dT%H:%M:%SZ}|{span // timedelta(minutes=1)}"


def moment_of(request: Resource) -> str:
    """The `moment` of a planned reminder; "" when it has none."""
    identifiers = request.get("identifier", ())
    return next((str(each.get("value")) for each in identifiers if each.get("system") == MOMENT), "")


def tend(ctx: Context) -> None:
    """Hand over reminders whose time has come, each in a transaction of its own."""
    until, since = f"le{ctx.now:%Y-%m-%dT%H:%M:%SZ}", f"ge{ctx.now - _LATE:%Y-%m-%dT%H:%M:%SZ}"
    pairs = [("status", "active"), ("category", f"{KIND_SYSTEM}|{_KIND}"), ("occurrence", until), ("occurrence", since)]
    due = stored.find(as_server(ctx), "CommunicationRequest", pairs, limit=_AT_ONCE)
    ctx.db.commit()
    if not due:
        return
    writer = Writer(ctx)
    # After a long standstill several of one appointment are due: only the latest still says something.
    latest: dict[str, str] = {}
    for request in due:
        id_, moment = _appointment_of(request), _occurrence(request)
        latest[id_] = max(latest.get(id_, ""), moment)
    for request in due:
        try:
            with ctx.db.hold():
                _hand_over(ctx, request["id"], writer, last=latest[_appointment_of(request)] == _occurrence(request))
            ctx.db.commit()
        except FhirError as error:
            ctx.db.rollback()
            _log.error("a reminder could not be handed over: %s", error.issues[0].code)


def _hand_over(ctx: Context, request_id: str, writer: Writer, *, last: bool) -> None:
    unit = Changes(as_server(ctx))
    request = unit.lock("CommunicationRequest", request_id)
    if request["status"] != "active":
        return
    visit = stored.by_name(ctx, [f"Appointment/{_appointment_of(request)}"]).get(
        f"Appointment/{_appointment_of(request)}"
    )
    occasion = _occasion(ctx, request, visit, writer)
    if occasion is None or visit is None:
        _end(unit, request, "revoked", "The appointment does not stand any more.")
    elif not last:
        _end(unit, request, "revoked", "A later reminder is due as well.")
    else:
        for draft in writer.drafts(occasion, recipients.of_people(ctx, facts.people_of(visit, ctx.base))):
            outbox.enqueue(ctx, draft)
        _end(unit, request, "completed", None)
    unit.run()


def _occasion(ctx: Context, request: Resource, visit: Resource | None, writer: Writer) -> Occasion | None:
    """The occasion of a due reminder; None when its appointment was moved, cancelled, or has begun."""
    moment = moment_of(request)
    start, _, minutes = moment.partition("|")
    span = timedelta(minutes=int(minutes or 0))
    if visit is None or moment not in due_times(visit, [span], ctx):
        return None
    return visit_occasion(
        ctx,
        visit,
        _KIND,
        distinct=moment,
        seeds={"status": "booked", "start": start, "span": minutes},
        expires=facts.start_of(visit),
        based_on=f"CommunicationRequest/{request['id']}",
        before=span,
    )


def _planned(ctx: Context, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    groups = ",".join(f"{GROUP}|{id_}" for id_ in ids)
    for request in stored.find(ctx, "CommunicationRequest", [("group-identifier", groups)], limit=100 * len(ids)):
        found.setdefault(_appointment_of(request), []).append(request)
    return found


def _spans(writer: Writer) -> tuple[timedelta, ...]:
    """How long before: as the tenant's templates say, else its settings, else the usual."""
    return writer.own.reminders or writer.options.reminders


def _request(ctx: Context, visit: Resource, moment: str, due: datetime, writer: Writer) -> dict[str, Any]:
    people = facts.people_of(visit, ctx.base)
    kind = {"coding": [{"system": KIND_SYSTEM, "code": _KIND}]}
    ways = [code for code in writer.options.order if code in writer.options.channels and code in kinds()[_KIND].order]
    patients = [name for name in people if name.startswith("Patient/")]
    return {
        "resourceType": "CommunicationRequest",
        "identifier": [{"system": MOMENT, "value": moment}],
        "groupIdentifier": {"system": GROUP, "value": visit["id"]},
        "status": "active",
        "category": [kind],
        "medium": [{"coding": [{"system": CHANNEL_SYSTEM, "code": code}]} for code in (*ways, "in-app")],
        **({"subject": {"reference": patients[0]}} if patients else {}),
        "about": [{"reference": f"Appointment/{visit['id']}"}],
        "occurrenceDateTime": f"{due:%Y-%m-%dT%H:%M:%SZ}",
        "authoredOn": f"{ctx.now:%Y-%m-%dT%H:%M:%SZ}",
        "recipient": [{"reference": name} for name in people],
        "reasonCode": [kind],
    }


def _end(unit: Changes, request: dict[str, Any], status: str, reason: str | None) -> None:
    request["status"] = status
    if reason is not None:
        request["statusReason"] = {"text": reason}
    unit.put(request)


def _appointment_of(request: Resource) -> str:
    return str(request.get("groupIdentifier", {}).get("value", ""))


def _occurrence(request: Resource) -> str:
    return str(request.get("occurrenceDateTime", ""))
