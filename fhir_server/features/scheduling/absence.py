"""$absence and $end-absence of a practitioner (profiles/scheduling/operations/): the time is blocked, and the visits
that stand in it are moved to a substitute or left to staff."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment, stored_range
from fhir_server.core.errors import Invalid, Issue, Unprocessable, outcome
from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.features.scheduling import absence_blocks, offers
from fhir_server.features.scheduling.absence_blocks import Absence
from fhir_server.features.scheduling.callers import patients_of, seen
from fhir_server.features.scheduling.fields import HOLD_EXPIRES, Resource, extension, instant
from fhir_server.features.scheduling.impacted import references_of
from fhir_server.features.scheduling.offers import Place
from fhir_server.features.scheduling.parameters import rules_of
from fhir_server.features.scheduling.reschedule import move
from fhir_server.features.scheduling.substitution import Substitute, substitute, take_over
from fhir_server.features.scheduling.visit import Visit
from fhir_server.features.scheduling.words import words
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, check_staff
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall
from fhir_server.storage.errors import SerializationFailure, TimeTaken

WHO = ("Practitioner", "PractitionerRole")
TASK_KIND = "urn:salam:CodeSystem:task-kind"
RESCHEDULE = "reschedule-appointment"
_STANDING = "pending,booked,arrived,checked-in"
_MOVABLE = ("pending", "booked")
_LONGEST = timedelta(days=366)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_UNDONE = "draft,requested,received,accepted,ready,in-progress,on-hold"
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_AGE = tuple((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND for year in (1971, 2200))


@dataclass(slots=True)
class _Impact:
    """A visit that stands in an absence, and what becomes of it."""

    appointment: Resource
    visit: Visit | None = None
    result: str = "to-reschedule"


_TEXTS: Mapping[str, str] = {
    "moved": "The substitute takes over this visit.",
    "would-move": "The substitute is free and can take over this visit.",
    "substitute-busy": "The substitute is busy then, does not work, or does not offer the service.",
    "to-reschedule": "Staff has to find another time, or another professional.",
}


def absence(ctx: Context, call: OperationCall) -> FhirResponse:
    """Enter an absence: the visits that stand in it (match), Slots and Tasks (include), and what became of each visit
    (an issue of the OperationOutcome).

    Raises `Unprocessable` for a period that is none, or over; `Forbidden` for who is not staff.
    """
    check_staff(ctx, "Appointment", "enter absences")
    server = as_server(ctx)
    person = _person(ctx, call)
    references = references_of(server, person)
    place = _agenda(server, person, references)
    away = _absence(ctx, call, place)
    other = _substitute(ctx, call, person)
    found = _impacts(server, references, away)
    dry = bool(call.parameters.get("dry-run"))
    try:
        written = _plan(server, found, other, dry=dry)
        if not dry:
            written |= _block(server, references, place, away, found)
    except TimeTaken:
        # Somebody booked between the look and the act: once more from the beginning.
        raise SerializationFailure(
            "The agenda changed at this moment. Try again.", headers={"Retry-After": "1"}
        ) from None
    visible = seen(ctx, (each.appointment for each in found))
    return _report(ctx, [each for each in found if each.appointment["id"] in visible], len(found), written)


def _person(ctx: Context, call: OperationCall) -> str:
    """`Practitioner/id` of who is absent; an absence in one role is one in all, for a person is in one place."""
    resource = stored.get(ctx, call.type or "", call.id or "")
    if call.type == "Practitioner":
        return f"Practitioner/{call.id}"
    return _practitioner(ctx, resource)


def _practitioner(ctx: Context, role: Resource) -> str:
    name = stored.local(ctx, role.get("practitioner"))
    if name is None:
        raise Unprocessable(
            "The role names no Practitioner of this clinic.",
            expression="PractitionerRole.practitioner",
            code="business-rule",
        )
    return name


def _agenda(ctx: Context, person: str, references: Sequence[str]) -> Place:
    """The Schedule that the block is written to: the one with the fewest other actors, who would be blocked too. Time
    belongs to the person, so that one Schedule is enough."""
    found = stored.find(ctx, "Schedule", [("actor", ",".join(references))])
    names = sorted((len(each["actor"]), each["id"]) for each in found if each.get("active", True))
    catalogue = offers.load(ctx, schedules=[f"Schedule/{names[0][1]}"]) if names else None
    if catalogue is None or not catalogue.schedules:
        raise Unprocessable(
            f"{person} has no active Schedule, so there is no agenda to block.",
            expression="Schedule.actor",
            code="business-rule",
        )
    return catalogue.offer(None, f"Schedule/{names[0][1]}", ()).main


def _absence(ctx: Context, call: OperationCall, place: Place) -> Absence:
    zone = ZoneInfo(rules_of(None, place.schedule, ctx.tenant.zone).zone)
    start, end = period_of(call.parameters["period"], zone)
    if end <= ctx.now:
        raise Unprocessable("The period is over.", expression="http.period", code="business-rule")
    return Absence(
        uuid4().hex, max(start, ctx.now.replace(microsecond=0)), end, zone, call.parameters.get("reason", "").strip()
    )


def period_of(period: Mapping[str, Any], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end of an absence; days are meant whole, on the zone's clock. Raises `Invalid` and
    `Unprocessable`."""
    if "start" not in period or "end" not in period:
        raise Invalid("period needs a start and an end.", expression="http.period", code="required")
    start = stored_range(period["start"], zone)[0]
    first, last = stored_range(period["end"], zone)
    end = last if len(period["end"]) <= 10 else first
    # In microseconds: datetimes end before what a Period can say does.
    if not all(_AGE[0] <= each <= _AGE[1] for each in (start, end)):
        raise Unprocessable("period is in the years 1971 to 2199.", expression="http.period", code="business-rule")
    if not start < end <= start + _LONGEST // _MICROSECOND:
        raise Invalid("period ends after it starts, and within a year.", expression="http.period", code="value")
    return _EPOCH + start * _MICROSECOND, _EPOCH + end * _MICROSECOND


def _substitute(ctx: Context, call: OperationCall, person: str) -> Substitute | None:
    reference = call.parameters.get("substitute")
    if reference is None:
        return None
    name = stored.local(ctx, reference) or ""
    if not name.startswith(tuple(f"{kind}/" for kind in WHO)):
        raise Invalid(f"substitute is a reference to a {' or '.join(WHO)}.", expression="http.substitute", code="value")
    resource = stored.get(ctx, *name.split("/", 1))
    other = name if name.startswith("Practitioner/") else _practitioner(ctx, resource)
    if other == person:
        raise Unprocessable("Nobody substitutes himself.", expression="http.substitute", code="business-rule")
    return substitute(as_server(ctx), other)


def _impacts(ctx: Context, references: Sequence[str], away: Absence) -> list[_Impact]:
    """The visits that stand in the time, by time. Holds are left out: they pass by themselves."""
    pairs = [
        ("actor", ",".join(references)),
        ("date", f"ge{instant(away.start - _DAY)}"),
        ("date", f"lt{instant(away.end)}"),
        ("status", _STANDING),
    ]
    found = [
        each
        for each in stored.find(ctx, "Appointment", pairs)
        if "end" in each and moment(each["end"]) > away.start and extension(each, HOLD_EXPIRES) is None
    ]
    return [_Impact(each) for each in sorted(found, key=lambda each: moment(each["start"]))]


def _plan(ctx: Context, found: Sequence[_Impact], other: Substitute | None, *, dry: bool) -> dict[str, Resource]:
    """Decide what becomes of each visit, and move those that the substitute can take."""
    if other is None or not found:
        return {}
    unit = Changes(ctx)
    locked = unit.lock_all([("Appointment", impact.appointment["id"]) for impact in found])
    for impact in found:
        appointment = impact.appointment = locked["Appointment", impact.appointment["id"]]
        rid = unit.rid("Appointment", appointment["id"])
        if appointment["status"] in _MOVABLE:
            impact.visit = take_over(ctx, other, appointment, rid)
        if impact.visit is None:
            impact.result = "substitute-busy"
        elif dry:
            impact.result = "would-move"
        else:
            impact.result = "moved"
            move(ctx, unit, appointment, impact.visit)
    return {} if dry else unit.run()


def _block(
    ctx: Context, references: Sequence[str], place: Place, away: Absence, found: Sequence[_Impact]
) -> dict[str, Resource]:
    unit = Changes(ctx)
    roles = [
        ("PractitionerRole", name.partition("/")[2]) for name in references if name.startswith("PractitionerRole/")
    ]
    for role in unit.lock_all(roles).values() if roles else ():
        absence_blocks.leave(role, away)
        unit.put(role)
    absence_blocks.block(ctx, unit, place, away)
    for impact in found:
        if impact.result != "moved" and not _has_task(ctx, impact.appointment):
            unit.add(_task(ctx, impact.appointment))
    return {name: each for name, each in unit.run().items() if each["resourceType"] in ("Slot", "Task")}


def _has_task(ctx: Context, appointment: Resource) -> bool:
    focus = f"Appointment/{appointment['id']}"
    pairs = [("focus", focus), ("code", f"{TASK_KIND}|{RESCHEDULE}"), ("status", _UNDONE)]
    return bool(stored.find(ctx, "Task", pairs, limit=1))


def _task(ctx: Context, appointment: Resource) -> Resource:
    task: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent" if moment(appointment["start"]) - ctx.now < _DAY else "routine",
        "code": {"coding": [{"system": TASK_KIND, "code": RESCHEDULE}], "text": words(ctx)["reschedule"]},
        "focus": {"reference": f"Appointment/{appointment['id']}"},
        "authoredOn": instant(ctx.now),
        "lastModified": instant(ctx.now),
    }
    patients = patients_of(ctx, appointment)
    if "security" in appointment.get("meta", {}):
        # Who may not see the visit may not see that it has to be moved.
        task["meta"] = {"security": appointment["meta"]["security"]}
    if len(patients) == 1:
        task["for"] = {"reference": f"Patient/{patients[0]}"}
    return task


def _report(ctx: Context, found: Sequence[_Impact], number: int, written: Mapping[str, Resource]) -> FhirResponse:
    """What the caller may see of what was done. `number`: of all the visits, of which `found` are his to see."""
    entries = []
    issues = []
    for at, impact in enumerate(found):
        name = f"Appointment/{impact.appointment['id']}"
        entries.append(_entry(ctx, written.get(name, impact.appointment), "match"))
        place = f"Bundle.entry[{at}].resource"
        issues.append(Issue("information", "informational", _TEXTS[impact.result], place, impact.result))
    shown = {f"Appointment/{impact.appointment['id']}" for impact in found}
    for each in written.values():
        if each["resourceType"] == "Slot" or (
            each["resourceType"] == "Task" and stored.local(ctx, each["focus"]) in shown
        ):
            entries.append(_entry(ctx, each, "include"))
    if number > len(found):
        text = f"{number - len(found)} more visits stand in this time that you may not see; they are treated alike."
        issues.append(Issue("information", "suppressed", text))
    if not issues:
        issues = [Issue("information", "informational", "No visit stands in this time.")]
    entries.append({"resource": outcome(issues), "search": {"mode": "outcome"}})
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}
    return FhirResponse(200, encode(bundle))


def _entry(ctx: Context, resource: Resource, mode: str) -> dict[str, Any]:
    url = f"{ctx.base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


# -- the end -----------------------------------------------------------------------------------------------------------


def end_absence(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Take a period out of the absences of a practitioner: Parameters with `ended`, the number of blocks that were
    deleted or cut. Visits that were moved stay where they are."""
    check_staff(ctx, "Appointment", "end absences")
    server = as_server(ctx)
    references = references_of(server, _person(ctx, call))
    place = _agenda(server, references[0], references)
    zone = ZoneInfo(rules_of(None, place.schedule, ctx.tenant.zone).zone)
    start, end = period_of(call.parameters["period"], zone)
    schedules = stored.find(server, "Schedule", [("actor", ",".join(references))])
    unit = Changes(server)
    blocks = absence_blocks.blocking(server, [f"Schedule/{each['id']}" for each in schedules], start, end)
    for slot in blocks:
        left = absence_blocks.remains(slot, start, end)
        # Of a Slot that is cut in two, both parts are new: claims of one that moves would meet the other's.
        unit.remove("Slot", slot["id"])
        for lo, hi in left:
            kept = {name: value for name, value in slot.items() if name not in ("id", "meta")}
            unit.add(kept | {"start": lo, "end": hi})
    roles = [
        ("PractitionerRole", name.partition("/")[2]) for name in references if name.startswith("PractitionerRole/")
    ]
    for role in unit.lock_all(roles).values() if roles else ():
        if absence_blocks.come_back(role, start, end):
            unit.put(role)
    unit.run()
    return {"resourceType": "Parameters", "parameter": [{"name": "ended", "valueInteger": len(blocks)}]}
