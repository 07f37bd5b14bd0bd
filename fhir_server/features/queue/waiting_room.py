"""Device/[id]/$waiting-room: what a board shows, and what a kiosk offers. Numbers, and nothing of who they are.

It is asked for every second, for days. So an answer has a stamp, and as long as nothing happened it is only that; and
the audit log notes the first look of a page, not the tens of thousands that follow and show nobody's data.
"""

import hashlib
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.keys import self_key
from fhir_server.features.queue import joining, places, snapshot
from fhir_server.features.queue.estimate import Estimate
from fhir_server.features.queue.places import Place
from fhir_server.features.queue.snapshot import Standing
from fhir_server.interactions.acting import as_server
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.security import audit
from fhir_server.storage import queue_counts
from fhir_server.storage.tickets import Ticket

# How many calls are told, over all queues.
_CALLS = 8
# Seconds after which estimates are told anew although nothing happened.
_FRESH = 30
_CALLED = ("called", "serving", "served")
_LANGUAGES = ("fr", "ar", "en")
Parameter = dict[str, Any]


def waiting_room(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with the queues of the device's place and the latest calls; with an unchanged `stamp` only that.
    Raises `Forbidden`, `NotFound`."""
    device = places.watched_device(ctx, call.id or "")
    server = as_server(ctx)
    with ctx.db.hold():
        here = places.place(server, device)
        stamp = _stamp(server, here)
        shown: list[Parameter] = [
            {"name": "stamp", "valueString": stamp},
            {"name": "computedAt", "valueInstant": _instant(ctx.now)},
        ]
        if call.parameters.get("stamp") != stamp:
            shown += _place(server, here)
        if "stamp" not in call.parameters:
            ctx.db.run([audit.about(ctx, "operation", resource_type="Device", detail={"what": call.path})])
    return {"resourceType": "Parameters", "parameter": shown}


def _stamp(ctx: Context, here: Place) -> str:
    """A text that changes with what is shown."""
    read = [here.device, *([here.site] if here.site else []), *here.queues]
    keys = [self_key("HealthcareService", each["id"]) for each in here.queues]
    known = [f"{each['resourceType']}/{each['id']}/{each['meta']['versionId']}" for each in read]
    counts = queue_counts.events(ctx.db, ctx.tenant.id, keys)
    said = "|".join([*known, *map(str, counts), str(int(ctx.now.timestamp()) // _FRESH)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _place(ctx: Context, here: Place) -> list[Parameter]:
    device = here.device
    names = [str(each["name"]) for each in device.get("deviceName", ()) if each.get("name")]
    shown: list[Parameter] = [{"name": "timezone", "valueCode": ctx.tenant.zone}]
    if here.site is not None and here.site.get("name"):
        shown.append({"name": "place", "valueString": here.site["name"]})
    shown += [{"name": "name", "valueString": name} for name in names[:1]]
    shown += [{"name": "language", "valueCode": each} for each in places.settings(device, "language") or _LANGUAGES]
    sound, speech = (places.settings(device, name) for name in ("sound", "speech"))
    shown.append({"name": "sound", "valueBoolean": sound != [False]})
    shown.append({"name": "speech", "valueBoolean": speech == [True]})
    shown += [{"name": "print", "valuePositiveInt": each} for each in places.settings(device, "print")[:1]]
    standings = [(each, snapshot.standing(ctx, each)) for each in here.queues]
    return [*shown, *(_queue(ctx, service, now) for service, now in standings), *_calls(ctx, standings)]


def _queue(ctx: Context, service: dict[str, Any], now: Standing) -> Parameter:
    gives = joining.gives(now.config, now.state, ctx.now)
    parts: list[Parameter] = [
        {"name": "queue", "valueReference": {"reference": f"HealthcareService/{service['id']}"}},
        {"name": "name", "valueString": str(service.get("name") or now.config.prefix or service["id"])},
        {"name": "state", "valueCode": now.state.state},
        {"name": "gives", "valueBoolean": gives},
        {"name": "waiting", "valueUnsignedInt": len(now.waiting)},
    ]
    if now.config.prefix:
        parts.append({"name": "prefix", "valueString": now.config.prefix})
    if now.state.message:
        parts.append({"name": "message", "valueString": now.state.message})
    if gives and now.state.state == "open":
        parts.append({"name": "estimate", "part": range_of(now.next_comer)})
    return {"name": "queue", "part": parts}


def range_of(guess: Estimate) -> list[Parameter]:
    """The two ends of an estimate, as people are shown it."""
    return [{"name": "low", "valueUnsignedInt": guess.low}, {"name": "high", "valueUnsignedInt": guess.high}]


def _calls(ctx: Context, standings: list[tuple[dict[str, Any], Standing]]) -> list[Parameter]:
    """The latest calls of all queues, the last one first. Who was called and did not come is left out: he is called
    again when he is back."""
    found: list[tuple[datetime, Ticket, dict[str, Any], Standing]] = []
    for service, now in standings:
        for ticket in now.day:
            if ticket.called_at is not None and ticket.state in _CALLED and ticket.absent_until is None:
                found.append((ticket.called_at, ticket, service, now))
    found.sort(key=lambda each: (each[0], each[1].rid), reverse=True)
    latest = found[:_CALLS]
    beside: dict[int, str] = {}
    for _, now in standings:
        beside |= snapshot.labels_beside(ctx, now.config, [t for _, t, _, of in latest if of is now])
    return [_call(ticket, service, now, beside) for _, ticket, service, now in latest]


def _call(ticket: Ticket, service: dict[str, Any], now: Standing, beside: dict[int, str]) -> Parameter:
    parts: list[Parameter] = [
        {"name": "queue", "valueReference": {"reference": f"HealthcareService/{service['id']}"}},
        {"name": "number", "valueString": now.config.number(ticket.number)},
        {"name": "state", "valueCode": ticket.state},
        {"name": "calledAt", "valueInstant": _instant(ticket.called_at or ticket.taken_at)},
        {"name": "times", "valuePositiveInt": ticket.recalls + 1},
    ]
    if ticket.desk:
        parts.append({"name": "desk", "valueString": ticket.desk})
    if ticket.rid in beside:
        parts.append({"name": "display", "valueString": beside[ticket.rid]})
    return {"name": "call", "part": parts}


def _instant(at: datetime) -> str:
    return format_instant(round(at.timestamp() * 1_000_000))


OPERATIONS = {("Device", "waiting-room"): Wired(waiting_room, logs=True)}
