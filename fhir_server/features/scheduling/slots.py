"""The Slots of a visit: they stand in the agendas only where time is taken."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.keys import self_key
from fhir_server.features.scheduling.fields import BOOKING, OVERBOOKED, Resource, instant, set_tag
from fhir_server.features.scheduling.visit import Visit
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.claims import CLAIMING, KEEPING
from fhir_server.storage import claims

_TENTATIVE, _VISIT, _BUFFER = "busy-tentative", "busy", "busy-unavailable"
_FREE = ("free", "entered-in-error")
_TAKING = ",".join(sorted(CLAIMING | KEEPING))


def add(unit: Changes, visit: Visit, *, tentative: bool, overbooked: bool = False) -> list[Resource]:
    """New Slots for a visit and its buffers, one or more on each of its Schedules; the references to them."""
    references = []
    for planned in visit.slots:
        slot: Resource = {
            "resourceType": "Slot",
            "schedule": {"reference": planned.schedule},
            "status": _TENTATIVE if tentative else planned.status,
            "start": instant(planned.start),
            "end": instant(planned.end),
        }
        for name in ("category", "type", "specialty"):
            if visit.service and visit.service.get(name):
                slot[_NAMES[name]] = visit.service[name]
        if overbooked:
            slot["overbooked"] = True
            set_tag(slot, BOOKING, OVERBOOKED)
        references.append({"reference": f"Slot/{unit.add(slot)}"})
    return references


_NAMES = {"category": "serviceCategory", "type": "serviceType", "specialty": "specialty"}


def settle(ctx: Context, unit: Changes, appointment: Mapping[str, Any], *, tentative: bool) -> bool:
    """Give the Slots of a stored Appointment the status that its own asks for. False when some of them are gone, or are
    not its own; a free one within its time becomes so."""
    names = names_of(ctx, appointment)
    start, end = moment(appointment["start"]), moment(appointment["end"])
    mine = own(ctx, unit, appointment)
    for name, slot in stored.by_name(as_server(ctx), [f"{kind}/{id_}" for kind, id_ in names]).items():
        if slot["status"] == "free" and start <= moment(slot["start"]) and moment(slot["end"]) <= end:
            mine[name] = slot
    if len(mine) < len(names) or not names:
        return False
    for slot in unit.lock_all(names).values():
        inside = start <= moment(slot["start"]) < end
        slot["status"] = _TENTATIVE if tentative else _VISIT if inside else _BUFFER
        unit.put(slot)
    return True


def remove(ctx: Context, unit: Changes, appointment: Resource) -> None:
    """Delete the Slots of a locked Appointment that are its own, and drop the references to all that it names."""
    for name in own(ctx, unit, appointment):
        unit.remove("Slot", name.removeprefix("Slot/"))
    appointment.pop("slot", None)


def own(ctx: Context, unit: Changes, appointment: Mapping[str, Any]) -> dict[str, Resource]:
    """The Slots, by `Slot/id`, that stand for a locked Appointment and nothing else. Naming a Slot makes it nobody's:
    its time must be for this Appointment, and no other visit may need it."""
    names = [f"{kind}/{id_}" for kind, id_ in names_of(ctx, appointment)]
    rid = unit.rid("Appointment", appointment["id"]) if names else 0
    held = _held(ctx, names)
    return unneeded(as_server(ctx), [n for n in names if all(who == rid for who, _ in held[n])], but=appointment["id"])


def left_behind(ctx: Context, names: Sequence[str]) -> list[str]:
    """Of Slots (`Slot/id`) that visits had which gave up their time: those that nobody needs, and that block nothing by
    themselves."""
    held = _held(ctx, names)
    return list(unneeded(ctx, [name for name in names if held[name] <= {(0, "busy")}]))


def unneeded(ctx: Context, names: Sequence[str], but: str = "") -> dict[str, Resource]:
    """Those of these Slots that are still there, say that time is taken, and are of no Appointment that takes time,
    other than the one with the id `but`."""
    found = stored.by_name(ctx, names) if names else {}
    busy = {name: slot for name, slot in found.items() if slot["status"] not in _FREE}
    if not busy:
        return {}
    needing = stored.find(ctx, "Appointment", [("slot", ",".join(busy)), ("status", _TAKING)])
    needed = {f"{kind}/{id_}" for each in needing if each["id"] != but for kind, id_ in names_of(ctx, each)}
    return {name: slot for name, slot in busy.items() if name not in needed}


def _held(ctx: Context, names: Sequence[str]) -> dict[str, set[tuple[int, str]]]:
    keys = {name: self_key("Slot", name.removeprefix("Slot/")) for name in names}
    if not keys:
        return {}
    with ctx.db.hold():
        found = claims.held_by(ctx.db, ctx.tenant.id, list(keys.values()))
    return {name: found.get(key, set()) for name, key in keys.items()}


def names_of(ctx: Context, appointment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(`Slot`, id) of the Slots of this tenant that an Appointment names."""
    local = [stored.local(ctx, each) or "" for each in appointment.get("slot", ())]
    return [("Slot", name.removeprefix("Slot/")) for name in dict.fromkeys(local) if name.startswith("Slot/")]
