"""What of a change of an Appointment is worth telling, and to whom. Pure: two versions in, happenings out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fhir_server.features.notifications import facts

Resource = Mapping[str, Any]

_OVER = ("cancelled", "entered-in-error")


@dataclass(frozen=True, slots=True)
class Happening:
    """kind: of message. people: `Type/id`. visit: the Appointment that is told of. distinct: tells this happening from
    others of the kind about the same Appointment. facts: see `composing.Occasion`. since: when it happened."""

    kind: str
    people: tuple[str, ...]
    visit: Resource
    distinct: str
    facts: Mapping[str, str]
    since: datetime | None = None


def of_appointment(
    before: Resource | None, after: Resource | None, now: datetime, base: str, since: datetime | None = None
) -> list[Happening]:
    """What to tell of a version (None: it was deleted) and the one before it (None: there was none).

    Nothing of what lies in the past: that is a record, not news. Nothing of holds, which are not agreed yet, but for
    what is offered to the waiting list.
    """
    if after is None:
        return []
    start = facts.start_of(after)
    if start is None or start <= now:
        return []
    return [replace(each, since=since) for each in _happenings(before or {}, after, now, base) if each.people]


def joined(told: Sequence[Happening]) -> list[Happening]:
    """The same, but of a series that was booked, moved or cancelled as a whole its first appointment only, with the
    number of the `others`: nobody gets twelve messages at once. Professionals are told of each."""
    found: dict[tuple[Any, ...], list[Happening]] = {}
    for number, happening in enumerate(told):
        series = facts.series_of(happening.visit) if happening.kind != "staff-change" else ""
        key = (happening.kind, series, happening.people) if series else (number,)
        found.setdefault(key, []).append(happening)
    return [_first(several) for several in found.values()]


def _first(several: Sequence[Happening]) -> Happening:
    first = min(several, key=lambda each: str(facts.start_of(each.visit)))
    others = len(several) - 1
    return replace(first, facts={**first.facts, "others": str(others)}) if others else first


def matters_to_reminders(before: Resource | None, after: Resource | None, base: str) -> bool:
    """Whether planned reminders may have to change."""
    return _plan(before, base) != _plan(after, base)


def _plan(visit: Resource | None, base: str) -> tuple[Any, ...]:
    if visit is None or visit.get("status") != "booked":
        return ()
    return visit.get("start"), facts.people_of(visit, base)


def _happenings(before: Resource, after: Resource, now: datetime, base: str) -> Iterator[Happening]:
    was, status, start = before.get("status"), after.get("status"), str(after.get("start"))
    people, known = facts.people_of(after, base), facts.people_of(before, base)
    version = after.get("meta", {}).get("versionId", "")
    now_booked = {"status": "booked", "start": start}
    if status == "booked" and was not in facts.AGREED:
        yield Happening("confirmation", tuple(people), after, start, now_booked)
        yield _staff(after, "booked", version, base, now_booked)
    elif status == "booked" and was == "booked":
        moved = facts.start_of(before) != facts.start_of(after)
        joined = [name for name in people if name not in known]
        left = [name for name in known if name not in people]
        stayed = [name for name in people if name in known]
        yield Happening("confirmation", tuple(joined), after, start, now_booked)
        was_at = str(before.get("start"))
        yield Happening("cancellation", tuple(left), before, f"{was_at}@{version}", {"was": was_at})
        if moved:
            seeds = {**now_booked, "before": was_at}
            yield Happening("rescheduled", tuple(stayed), after, f"{start}@{version}", seeds)
            yield _staff(after, "moved", version, base, seeds)
    elif status in _OVER and (was == "booked" or (was == "pending" and facts.hold_expires(before) is None)):
        seeds = {"status": str(status)}
        if facts.cancelled_by_patient(after):
            seeds["by"] = "patient"
        yield Happening("cancellation", tuple(people), after, start, seeds)
        yield _staff(after, "cancelled", version, base, {"status": str(status)})
    elif facts.is_offer(after, base) and was != "pending":
        until = facts.hold_expires(after)
        if until is not None and until > now:
            held = str(facts.extension(after, f"{facts.E}hold-expires").get("valueInstant"))
            seeds = {"status": "pending", "start": start, "until": held}
            yield Happening("waitlist-offer", tuple(people), after, held, seeds)


def _staff(visit: Resource, change: str, version: str, base: str, seeds: Mapping[str, str]) -> Happening:
    people: Sequence[str] = facts.staff_of(visit, base)
    distinct = f"{change}:{visit.get('start')}@{version}"
    return Happening("staff-change", tuple(people), visit, distinct, {**seeds, "change": change})
