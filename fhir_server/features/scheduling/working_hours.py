"""The hours that the standard elements say: of a role, a place and a service, with their absences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.features.scheduling import parameter_values as values
from fhir_server.features.scheduling.availability import Hours
from fhir_server.features.scheduling.hours import Weekly

Resource = Mapping[str, Any]
_DAYS = frozenset(values.WEEKDAYS.values())


def hours_of(
    schedule: Resource,
    role: Resource | None,
    location: Resource | None,
    service: Resource | None,
    *,
    always: bool = False,
) -> Hours:
    said = (
        _weekly((role or {}).get("availableTime", ()), "availableStartTime", "availableEndTime"),
        _weekly((location or {}).get("hoursOfOperation", ()), "openingTime", "closingTime"),
        _weekly((service or {}).get("availableTime", ()), "availableStartTime", "availableEndTime"),
    )
    absent = [each for owner in (role, service) for each in (owner or {}).get("notAvailable", ())]
    horizons = [schedule.get("planningHorizon"), (role or {}).get("period")]
    return Hours(
        tuple(weekly for weekly in said if weekly),
        tuple(_period(each["during"]) for each in absent if each.get("during")),
        tuple(_period(each) for each in horizons if each),
        always=always,
    )


def _period(period: Resource) -> tuple[str, str]:
    return period.get("start", ""), period.get("end", "")


def _weekly(rows: Iterable[Resource], start: str, end: str) -> tuple[Weekly, ...]:
    found = []
    for row in rows:
        days = frozenset(values.WEEKDAYS[day] for day in row.get("daysOfWeek", ())) or _DAYS
        whole = bool(row.get("allDay"))
        try:
            found.append(values.weekly(days, None if whole else row.get(start), None if whole else row.get(end)))
        except values.Wrong:
            # Hours of no length open nothing.
            continue
    return tuple(found)
