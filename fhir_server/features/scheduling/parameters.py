"""The rules by which a service is booked with a Schedule: what the extension `scheduling-parameters` of both says.

What a Schedule says for the service comes before what it says in general, and that before what the service says.
profiles/scheduling/structures/scheduling-parameters.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import gcd
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, Unprocessable
from fhir_server.features.scheduling import parameter_values as values
from fhir_server.features.scheduling.hours import Weekly
from fhir_server.features.scheduling.parameter_values import Needed
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.expression import compile_expression

URL = "urn:salam:StructureDefinition:scheduling-parameters"
Stated = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a service with a Schedule. Minutes, but for `max_advance` (days; 0: no limit).

    `interval`, `offset`: visits begin at multiples of `interval` after local midnight + `offset`; `available`: None
    when the hours are said elsewhere; `extra`, `closed`: (start, end) as FHIR dates or dateTimes, "" for an open end;
    `limit_day`, `limit_week`: visits of the Schedule, 0: no limit; `reserve`: the last visits of each day that are kept
    for emergencies, `reserve_release` minutes before their start for everybody; `insurers`: `Organization/id`, none:
    all; `questionnaires`: canonicals or `Questionnaire/id`.
    """

    duration: int = 30
    before: int = 0
    after: int = 0
    interval: int = 30
    offset: int = 0
    zone: str = ""
    available: tuple[Weekly, ...] | None = None
    extra: tuple[tuple[str, str], ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    holidays: str = ""
    min_notice: int = 0
    max_advance: int = 0
    hold_minutes: int = 10
    cancel_cutoff: int = 0
    online: bool = False
    requires_confirmation: bool = False
    capacity: int = 1
    limit_day: int = 0
    limit_week: int = 0
    reserve: int = 0
    reserve_release: int = 0
    eligibility: str = ""
    questionnaires: tuple[str, ...] = ()
    insurers: tuple[str, ...] = ()
    resources: tuple[Needed, ...] = ()
    price: Mapping[str, Any] | None = None


_FIELDS = frozenset(field.name for field in fields(Rules))


def rules_of(service: Mapping[str, Any] | None, schedule: Mapping[str, Any] | None = None, zone: str = "") -> Rules:
    """The rules of a service (HealthcareService or None) with a Schedule. `zone`: where neither names one.

    Without alignmentInterval visits begin at multiples of the greatest number of minutes that divides both the duration
    and half an hour. Raises `Unprocessable` with the path of a value that cannot be.
    """
    merged: Stated = {}
    for resource in filter(None, (service, schedule)):
        issues: list[Issue] = []
        entries = list(_entries(resource, issues))
        if issues:
            raise Unprocessable(issues=issues)
        wanted = f"HealthcareService/{service['id']}" if service and "id" in service else None
        for named in (None, wanted):
            for entry in entries:
                if entry.get("service") == named:
                    merged.update(entry)
    stated = {name: value for name, value in merged.items() if name in _FIELDS}
    stated["zone"] = stated.get("zone") or zone
    stated.setdefault("interval", gcd(stated.get("duration", 30), 30))
    return Rules(**stated)


def services_named(schedule: Mapping[str, Any]) -> set[str]:
    """The services (`HealthcareService/id`) for which a Schedule has rules of their own."""
    return {entry["service"] for entry in _entries(schedule, []) if "service" in entry}


def guard(ctx: Context, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Issue]:
    """What is wrong with the scheduling parameters of a HealthcareService or Schedule that is about to be written."""
    if after is None:
        return []
    issues = check_parameters(after)
    for index, entry in _indexed(after, []):
        try:
            compile_expression(entry.get("eligibility", "true"), "Patient", ctx.registry)
        except FhirPathError as error:
            path = f"{after['resourceType']}.extension[{index}]"
            issues.append(_wrong(f"eligibility cannot be asked of a Patient: {error}", path))
    return issues


def check_parameters(resource: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with the scheduling parameters of a HealthcareService or Schedule: errors with their paths."""
    issues: list[Issue] = []
    kind = resource["resourceType"]
    seen: set[str | None] = set()
    for index, entry in _indexed(resource, issues):
        path = f"{kind}.extension[{index}]"
        named = entry.get("service")
        if kind != "Schedule" and named:
            issues.append(_wrong("Only a Schedule has parameters for one service.", path))
        if named in seen:
            of = "for the same service" if named else "that hold in general"
            issues.append(_wrong(f"There are two scheduling-parameters {of}: put them into one.", path))
        seen.add(named)
        issues += _check_entry(resource, entry, path)
    return issues


def _check_entry(resource: Mapping[str, Any], entry: Stated, path: str) -> Iterator[Issue]:
    own = f"Schedule/{resource.get('id')}"
    needed: Sequence[Needed] = entry.get("resources", ())
    if any(own in each.schedules for each in needed):
        yield _wrong("A Schedule cannot need itself as a resource.", path)
    if len(needed) > MOST_RESOURCES:
        yield _wrong(f"At most {MOST_RESOURCES} resources can be needed beside the main Schedule.", path)
    furthest = entry.get("max_advance", 0) * 24 * 60
    if furthest and entry.get("min_notice", 0) > furthest:
        yield _wrong("minNotice is longer than maxAdvance, so nothing could ever be booked.", path)
    if entry.get("limit_week", 0) and entry.get("limit_day", 0) > entry["limit_week"]:
        yield _wrong("limitPerDay is greater than limitPerWeek.", path)


# As many as a proposal's id has room for.
MOST_RESOURCES = 2


def _entries(resource: Mapping[str, Any], issues: list[Issue]) -> Iterator[Stated]:
    for _, entry in _indexed(resource, issues):
        yield entry


def _indexed(resource: Mapping[str, Any], issues: list[Issue]) -> Iterator[tuple[int, Stated]]:
    for index, extension in enumerate(resource.get("extension", ())):
        if isinstance(extension, Mapping) and extension.get("url") == URL:
            yield index, _stated(extension, f"{resource['resourceType']}.extension[{index}]", issues)


def _stated(extension: Mapping[str, Any], path: str, issues: list[Issue]) -> Stated:
    """The fields of Rules that an entry states, and `service`. What is wrong is added to `issues`."""
    found: Stated = {}
    for index, part in enumerate(extension.get("extension", ())):
        here, name = f"{path}.extension[{index}]", str(part.get("url"))
        reader = values.READERS.get(name)
        if reader is None:
            issues.append(_wrong(f"scheduling-parameters has no part {name!r}.{values.nearest(name)}", f"{here}.url"))
            continue
        field, repeats, read = reader
        try:
            value = read(part)
        except values.Wrong as wrong:
            given = next((f".{key}" for key in part if key.startswith("value")), "")
            issues.append(_wrong(wrong.text, here + (wrong.path or given)))
            continue
        if repeats:
            found[field] = (*found.get(field, ()), value)
        elif field in found:
            issues.append(_wrong(f"{name} may be said once.", here))
        else:
            found.update(value if isinstance(value, dict) and field == "reserve" else {field: value})
    return found


def _wrong(text: str, path: str) -> Issue:
    return Issue("error", "business-rule", text, path)
