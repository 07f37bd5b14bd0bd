"""What plain writes leave behind: a client cancels, deletes or moves an Appointment and does not know of its Slots, nor
of the time by the clock that was agreed."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.events.feed import Change, Content, contents
from fhir_server.features.scheduling import moved_times, slots
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.claims import CLAIMING, KEEPING

_TAKING = CLAIMING | KEEPING


def follow(ctx: Context, changes: Sequence[Change]) -> None:
    """Delete the Slots that Appointments gave up, where no other Appointment needs them, and let the agreed time of
    those that moved be the one that they have."""
    type_id = ctx.registry.type_ids["Appointment"]
    found = contents(ctx, [each for each in changes if each.type_id == type_id])
    left: dict[str, None] = {}
    unit = Changes(ctx)
    for content in found.values():
        left.update(dict.fromkeys(_given_up(ctx, content)))
        if moved_times.by_plain_write(content.before, content.after):
            _agree(unit, content.id)
    for name in slots.left_behind(ctx, list(left)):
        unit.remove("Slot", name.removeprefix("Slot/"))
    unit.run()


def _given_up(ctx: Context, content: Content) -> list[str]:
    """The Slots (`Slot/id`) that a visit had, and has no more."""
    before, after = content.before, content.after
    if before is None or not _takes(before):
        return []
    kept = slots.names_of(ctx, after) if after is not None and _takes(after) else []
    return [f"{kind}/{id_}" for kind, id_ in slots.names_of(ctx, before) if (kind, id_) not in kept]


def _takes(appointment: Mapping[str, Any]) -> bool:
    return appointment.get("status") in _TAKING


def _agree(unit: Changes, appointment_id: str) -> None:
    try:
        appointment = unit.lock("Appointment", appointment_id)
    except NotFound:
        return
    if moved_times.agree_to_present(appointment):
        unit.put(appointment)
