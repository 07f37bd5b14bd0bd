"""When the occurrences of a series are: the R5 element Appointment.recurrenceTemplate as extension. No I/O.

https://hl7.org/fhir/R5/appointment-definitions.html#Appointment.recurrenceTemplate
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling.fields import RECURRENCE_TEMPLATE, extension

MOST = 52
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKLY = frozenset({"wk", "week", "weekly", "w"})
_DAILY = frozenset({"d", "day", "daily"})
_PATH = f"Appointment.extension('{RECURRENCE_TEMPLATE}')"
_KNOWN = frozenset(
    {"timezone", "recurrenceType", "lastOccurrenceDate", "occurrenceCount", "occurrenceDate", "weeklyTemplate",
     "excludingDate", "excludingRecurrenceId"}
)  # fmt: skip
_NOT_HERE = frozenset({"monthlyTemplate", "yearlyTemplate"})
# A rule that never ends is cut after this many days.
_FARTHEST = 366 * 2


def starts(appointment: Mapping[str, Any], first: datetime, zone: ZoneInfo) -> list[tuple[int, datetime]]:
    """(recurrenceId, start in UTC) of every occurrence, in order; the first is the one at `first`.

    The clock time in `zone` stays the same over changes of its offset. Raises `Unprocessable` for a template that is
    not understood, has no end, or has more than 52 occurrences.
    """
    parts = _parts(appointment)
    local = first.astimezone(zone)
    count, last = _value(parts, "occurrenceCount"), _value(parts, "lastOccurrenceDate")
    if count is None and last is None and "occurrenceDate" not in parts:
        raise _wrong("needs an end: occurrenceCount or lastOccurrenceDate.")
    if count is not None and count > MOST:
        raise _wrong(f"has more than {MOST} occurrences.")
    until = date.fromisoformat(str(last)) if last is not None else date.max
    excluded_days = {str(value) for value in _values(parts, "excludingDate")}
    excluded_ids = set(_values(parts, "excludingRecurrenceId"))
    found: list[tuple[int, datetime]] = []
    for number, day in enumerate(_days(parts, local.date()), start=1):
        if day > until or (count is not None and number > count):
            break
        if number > MOST:
            raise _wrong(f"has more than {MOST} occurrences.")
        if day.isoformat() not in excluded_days and number not in excluded_ids:
            found.append((number, _at(day, local, zone)))
    if not found:
        raise _wrong("leaves no occurrence.")
    return found


def _at(day: date, local: datetime, zone: ZoneInfo) -> datetime:
    """The clock time on a day. One that the day skips is moved on by what is skipped; of two the first is meant."""
    return datetime.combine(day, local.time(), zone).replace(fold=0).astimezone(UTC)


def _days(parts: Mapping[str, list[Mapping[str, Any]]], first: date) -> Iterator[date]:
    if "occurrenceDate" in parts:
        yield from sorted({first, *(date.fromisoformat(str(value)) for value in _values(parts, "occurrenceDate"))})
        return
    kind = _kind(parts)
    if kind in _DAILY:
        for ahead in range(_FARTHEST):
            yield first + timedelta(days=ahead)
        return
    weekly = {each["url"]: each for each in parts.get("weeklyTemplate", [{}])[0].get("extension", ())}
    interval = weekly.get("weekInterval", {}).get("valuePositiveInt", 1)
    wanted = {_DAYS.index(name) for name in _DAYS if weekly.get(name, {}).get("valueBoolean") is True}
    wanted = wanted or {first.weekday()}
    monday = first - timedelta(days=first.weekday())
    for ahead in range(_FARTHEST):
        day = first + timedelta(days=ahead)
        if day.weekday() in wanted and (day - monday).days // 7 % interval == 0:
            yield day


def _kind(parts: Mapping[str, list[Mapping[str, Any]]]) -> str:
    concept = parts.get("recurrenceType", [{}])[0].get("valueCodeableConcept", {})
    names = [coding.get("code", "") for coding in concept.get("coding", ())] + [concept.get("text", "")]
    for name in names:
        if name.lower() in _WEEKLY | _DAILY:
            return str(name.lower())
    raise _wrong("needs a recurrenceType of wk (weekly) or d (daily).")


def _parts(appointment: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    template = extension(appointment, RECURRENCE_TEMPLATE) or {}
    for part in template.get("extension", ()):
        if part["url"] in _NOT_HERE or part["url"] not in _KNOWN:
            raise _wrong(f"has a part that is not supported here: {part['url'][:40]}.")
        found.setdefault(part["url"], []).append(part)
    return found


def _values(parts: Mapping[str, list[Mapping[str, Any]]], name: str) -> list[Any]:
    kinds = {"occurrenceCount": "valuePositiveInt", "excludingRecurrenceId": "valuePositiveInt"}
    kind = kinds.get(name, "valueDate")
    values = [part.get(kind) for part in parts.get(name, ())]
    if None in values or (kind == "valueDate" and any(len(str(value)) != 10 for value in values)):
        raise _wrong(f"takes {kind} for {name}, with the day of a date.")
    return values


def _value(parts: Mapping[str, list[Mapping[str, Any]]], name: str) -> Any:
    return next(iter(_values(parts, name)), None)


def _wrong(what: str) -> Unprocessable:
    return Unprocessable(f"The recurrenceTemplate {what}", expression=_PATH, code="business-rule")
