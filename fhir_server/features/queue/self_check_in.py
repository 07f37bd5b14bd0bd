"""Device/[id]/$self-check-in: somebody at a kiosk takes a ticket, or says who he is and gets the ticket of his
appointment. The answer tells the ticket; of the person it tells nothing, not even that there is one."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.features.queue import check_in, configuration, links, places, snapshot, visitors, waiting_room
from fhir_server.features.queue.action import on_queue, on_ticket
from fhir_server.features.queue.joining import Wanted, add, appointed
from fhir_server.features.queue.places import Place
from fhir_server.features.queue.tickets import queue_of
from fhir_server.features.queue.visitors import Visitor
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.security import audit, throttle
from fhir_server.security.audit_events import MINOR
from fhir_server.storage import tickets

_LONGEST = 200
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")
_UNKNOWN = "Nobody is expected here today who fits this. Please ask at the reception."
"""One answer for a wrong number, a wrong date, a stranger, and a patient without an appointment here today."""


def self_check_in(ctx: Context, call: OperationCall) -> FhirResponse | dict[str, Any]:
    """Parameters with the ticket, or with `earlyUntil`. Raises `Forbidden` for who is no kiosk, `Throttled`, and what
    `$take-ticket` and `$check-in` raise; what does not fit is a 404."""
    device = places.own_device(ctx, call.id or "", "self-check-in")
    given = _given(call.parameters)
    what = given.get("code") or given.get("phone") or ""
    throttle.check(ctx.db, ctx.tenant.id, "visitor", _party(what), str(device["id"]))
    server = as_server(ctx)
    here = places.place(server, device)
    if "queue" in given:
        found: dict[str, Any] | None = _walk_in(ctx, here, given)
    else:
        found = _expected(server, here, given)
    detail = {"what": call.path}
    if found is None:
        # Answered, not raised: what is raised is taken back, and the attempt has to count.
        throttle.failed(ctx.db, ctx.tenant.id, "visitor", _party(what), str(device["id"]))
        ctx.db.run([audit.about(ctx, "operation", resource_type="Device", outcome=MINOR, detail=detail)])
        error = NotFound(_UNKNOWN, code="not-found", detail="unknown-visitor")
        return FhirResponse(error.status, encode(error.outcome()))
    ctx.db.run([audit.about(ctx, "operation", resource_type="Device", detail=detail)])
    return {"resourceType": "Parameters", "parameter": found["parameter"]}


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    """What was said: a queue, a code, or phone and birthDate. Raises `Invalid` for any other mixture."""
    given = {name: value for name, value in parameters.items() if name != "language"}
    if set(given) not in ({"queue"}, {"code"}, {"phone", "birthDate"}):
        text = "Give one of these: queue; code; phone with birthDate."
        raise Invalid(text, expression="http.queue", code="required")
    if not _DAY.match(str(given.get("birthDate", "2000-01-01"))):
        raise Invalid("birthDate takes a whole date: YYYY-MM-DD.", expression="http.birthDate", code="value")
    for name in ("code", "phone"):
        if len(str(given.get(name, "x"))) > _LONGEST or not str(given.get(name, "x")).strip():
            raise Invalid(f"{name} takes 1 to {_LONGEST} characters.", expression=f"http.{name}", code="value")
    return {**given, "language": str(parameters.get("language", ""))}


def _party(text: str) -> str:
    """Under which name attempts are counted: however a number is written, it is the same."""
    digits = "".join(str(int(c)) for c in text if c.isdecimal())
    return digits[-8:] if len(digits) >= 6 and "." not in text else text


# -- without a name ----------------------------------------------------------------------------------------------------


def _walk_in(ctx: Context, here: Place, given: dict[str, Any]) -> dict[str, Any]:
    service = here.queue(stored.local(ctx, given["queue"]) or "")
    if service is None:
        raise NotFound("There is no such queue at this place.", expression="http.queue")
    action = on_queue(as_server(ctx), "take", service["id"], also="open")
    return _slip(ctx, add(ctx=action.ctx, action=action, wanted=Wanted("normal", language=given["language"])))


# -- who is expected ---------------------------------------------------------------------------------------------------


def _expected(ctx: Context, here: Place, given: dict[str, Any]) -> dict[str, Any] | None:
    if "code" in given:
        visitor = visitors.by_code(ctx, here, str(given["code"]))
    else:
        visitor = visitors.by_person(ctx, here, str(given["phone"]), str(given["birthDate"]))
    if visitor is None:
        return None
    if visitor.ticket is not None:
        return _slip(ctx, _come(ctx, visitor.ticket[1]["id"]))
    queue = _queue(ctx, here, visitor)
    if queue is None:
        return None
    early = _early(ctx, queue, visitor.booking)
    if early is not None:
        return {"parameter": [{"name": "earlyUntil", "valueInstant": _instant(early)}]}
    booking = visitor.booking or {}
    return _slip(ctx, check_in.with_booking(ctx, str(booking["id"]), queue["id"], present=True))


def _come(ctx: Context, task_id: str) -> dict[str, Any]:
    """The holder of a ticket taken from home is there."""
    action, case = on_ticket(ctx, "check-in", task_id)
    return check_in.arrive(action, case)


def _queue(ctx: Context, here: Place, visitor: Visitor) -> dict[str, Any] | None:
    """The queue of the booked service; where that is none, the first one of the kiosk that takes bookings."""
    booked = [stored.local(ctx, each.get("actor")) or "" for each in (visitor.booking or {}).get("participant", ())]
    own = next((found for name in booked if (found := here.queue(name)) is not None), None)
    return own or next((each for each in here.queues if "appointment" in _config(ctx, each).kinds), None)


def _early(ctx: Context, queue: dict[str, Any], booking: dict[str, Any] | None) -> datetime | None:
    """From when on the booking can be checked in, if that is still to come."""
    start = appointed(booking)
    if start is None or (booking or {}).get("status") == "checked-in":
        return None
    opens = start - timedelta(minutes=_config(ctx, queue).early_tolerance)
    return opens if ctx.now < opens else None


def _config(ctx: Context, service: dict[str, Any]) -> configuration.QueueConfig:
    found = configuration.of(service, ctx.tenant.zone)
    return found or configuration.QueueConfig(timezone=ctx.tenant.zone)


# -- the ticket --------------------------------------------------------------------------------------------------------


def _slip(ctx: Context, task: dict[str, Any]) -> dict[str, Any]:
    """What is printed: the ticket, its place, and its secret link."""
    server = as_server(ctx)
    ticket = tickets.by_task(server.db, server.tenant.id, task["id"])
    if ticket is None:
        raise NotFound(_UNKNOWN)
    service = stored.get(server, "HealthcareService", queue_of(task))
    now = snapshot.standing(replace(server, now=max(server.now, ticket.taken_at)), service)
    shown: list[dict[str, Any]] = [
        {"name": "number", "valueString": now.config.number(ticket.number)},
        {"name": "queue", "valueString": str(service.get("name") or now.config.prefix)},
        {"name": "state", "valueCode": ticket.state},
        {"name": "takenAt", "valueInstant": _instant(ticket.taken_at)},
    ]
    if ticket.desk and ticket.state in ("called", "serving"):
        shown.append({"name": "desk", "valueString": ticket.desk})
    place = now.place(ticket.rid)
    if place is not None:
        shown.append({"name": "position", "valuePositiveInt": place[0]})
        shown.append({"name": "estimate", "part": waiting_room.range_of(place[1])})
    if ticket.state not in links.OVER:
        url, _ = links.make(server, ticket.rid, now.config)
        shown.append({"name": "url", "valueUrl": url})
    return {"parameter": shown}


def _instant(at: datetime) -> str:
    return format_instant(round(at.timestamp() * 1_000_000))


OPERATIONS = {("Device", "self-check-in"): Wired(self_check_in, logs=True)}
