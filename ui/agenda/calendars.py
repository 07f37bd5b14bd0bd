"""Whose time the agenda shows: a column for everybody and every room with an active Schedule."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from ui import fhir
from ui.formats import person, short_reference

Resource = Mapping[str, Any]
_PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
_MOST = 500
_STEPS = (5, 10, 15, 20, 30)
_DURATION = 30
_KINDS = ("Practitioner", "Location", "Device", "HealthcareService")


@dataclass(slots=True)
class Column:
    """Somebody or something whose time can be booked.

    `id`: `Type/id`; `short`: its title where there is little room; `also`: other references that mean the same (the
    roles of a person); `schedules`: `Schedule/id`; `services`: `HealthcareService/id` to minutes of a visit;
    `offered_by`: to the Schedule by which it is booked.
    """

    id: str
    title: str
    short: str = ""
    also: list[str] = field(default_factory=list)
    schedules: list[str] = field(default_factory=list)
    services: dict[str, int] = field(default_factory=dict)
    offered_by: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`person`, or `room` for a place, a device and what else is booked along."""
        return "person" if self.id.startswith("Practitioner/") else "room"

    def schedule_for(self, service: str) -> str:
        """The Schedule by which a service is booked with it."""
        return self.offered_by.get(service) or self.schedules[0]


@dataclass(slots=True)
class Calendars:
    """All columns, people first, with the names of what they offer. `offered`: the HealthcareServices."""

    columns: list[Column]
    services: dict[str, str]
    offered: dict[str, Resource]

    def column(self, column_id: str) -> Column | None:
        """The column of an id."""
        return next((each for each in self.columns if each.id == column_id), None)

    def of_schedule(self, schedule: str) -> Column | None:
        """The column of a Schedule."""
        return next((each for each in self.columns if schedule in each.schedules), None)

    def step_of(self, column: Column) -> int:
        """The coarsest grid, in minutes, on which all visits to somebody begin."""
        return _step(self.offered[name] for name in column.services)

    def people(self) -> list[Column]:
        """The columns of practitioners."""
        return [each for each in self.columns if each.kind == "person"]


def calendars() -> Calendars:
    """What is active in the clinic, as the person may see it. Raises `Refused`."""
    active = [("active:not", "false"), ("_count", _MOST)]
    asked = fhir.gather(
        [
            ("Schedule", [*active, ("_include", "Schedule:actor")]),
            ("PractitionerRole", active),
            ("HealthcareService", active),
        ]
    )
    for each in asked:
        if isinstance(each, fhir.Refused):
            raise each
    schedules, roles, services = asked
    names = schedules.by_reference
    columns: dict[str, Column] = {}
    known = {f"HealthcareService/{each['id']}": each for each in services.resources}
    for schedule in sorted(schedules.resources, key=lambda each: str(each["id"])):
        _add(columns, schedule, roles.resources, known, names)
    made = sorted(columns.values(), key=lambda each: (each.kind != "person", each.title.casefold()))
    offered = {name for each in made for name in each.services}
    texts = {name: str(each.get("name", name)) for name, each in known.items() if name in offered}
    return Calendars(made, texts, {name: known[name] for name in offered})


def _add(
    columns: dict[str, Column],
    schedule: Resource,
    roles: Iterable[Resource],
    services: Mapping[str, Resource],
    names: Mapping[str, Resource],
) -> None:
    name = f"Schedule/{schedule['id']}"
    actors = {_local(each): each for each in schedule.get("actor", ())}
    mine = [role for role in roles if f"PractitionerRole/{role['id']}" in actors]
    people = [name for name in actors if name.startswith("Practitioner/")]
    people += [_local(role.get("practitioner")) for role in mine]
    owner = next((each for each in people if each), None) or next(
        (each for each in actors if each.startswith(_KINDS)), None
    )
    if owner is None:
        return
    title = _title(owner, names, actors.get(owner), [role.get("practitioner") for role in mine])
    column = columns.setdefault(owner, Column(owner, title, _family(names.get(owner, {})) or title))
    column.schedules.append(name)
    mine = mine or [role for role in roles if _local(role.get("practitioner")) == owner]
    column.also += [f"PractitionerRole/{role['id']}" for role in mine]
    for service in _offered(schedule, mine, services):
        column.services.setdefault(service, _minutes(services[service], schedule, service))
        column.offered_by.setdefault(service, name)


def _offered(schedule: Resource, roles: Iterable[Resource], services: Mapping[str, Resource]) -> Iterator[str]:
    """The services of a Schedule, as the server reads them: named by its rules or its roles, else of its type."""
    named = [_local(part["valueReference"]) for part in _parts(schedule) if part.get("url") == "service"]
    named += [_local(each) for role in roles for each in role.get("healthcareService", ())]
    found = [each for each in dict.fromkeys(named) if each in services]
    if not named:
        types = _codes(schedule.get("serviceType", ()))
        found = [each for each, service in services.items() if types & _codes(service.get("type", ()))]
    yield from found


def _minutes(service: Resource, schedule: Resource, name: str) -> int:
    """The length of a visit: what the Schedule says for the service, else in general, else the service."""
    found = _stated(service, "", "duration") or _DURATION
    for of in ("", name):
        found = _stated(schedule, of, "duration") or found
    return int(found)


def _stated(resource: Resource, service: str, part: str) -> Any:
    for extension in resource.get("extension", ()):
        if extension.get("url") != _PARAMETERS:
            continue
        inside = extension.get("extension", ())
        of = next((_local(each["valueReference"]) for each in inside if each.get("url") == "service"), "")
        if of == service:
            for each in inside:
                if each.get("url") == part:
                    return next(value for key, value in each.items() if key.startswith("value"))
    return None


def _step(services: Iterable[Resource]) -> int:
    """The coarsest of the usual grids on which all visits begin."""
    common = 30
    for each in services:
        minutes = int(_stated(each, "", "duration") or _DURATION)
        common = gcd(common, int(_stated(each, "", "alignmentInterval") or gcd(minutes, 30)))
    return max((each for each in _STEPS if common % each == 0), default=5)


def _title(owner: str, names: Mapping[str, Resource], *references: Any) -> str:
    resource = names.get(owner, {})
    said = person(resource) if isinstance(resource.get("name"), list) else str(resource.get("name", ""))
    displays = [each["display"] for each in _flat(references) if each.get("display")]
    return said or next(iter(displays), "") or short_reference({"reference": owner})


def _family(resource: Resource) -> str:
    names = resource.get("name")
    return next((str(each["family"]) for each in names if each.get("family")), "") if isinstance(names, list) else ""


def _flat(given: Iterable[Any]) -> Iterator[Resource]:
    for each in given:
        if isinstance(each, list):
            yield from _flat(each)
        elif each:
            yield each


def _parts(resource: Resource) -> Iterator[Resource]:
    for extension in resource.get("extension", ()):
        if extension.get("url") == _PARAMETERS:
            yield from extension.get("extension", ())


def _codes(concepts: Iterable[Resource]) -> set[tuple[str, str]]:
    return {(each.get("system", ""), each.get("code", "")) for one in concepts for each in one.get("coding", ())}


def _local(reference: Resource | None) -> str:
    """`Type/id` of a reference; "" for none."""
    return "/".join(str((reference or {}).get("reference", "")).split("/")[-2:])
