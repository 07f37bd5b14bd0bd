"""Who offers which service where: the catalogue of a tenant as Schedules, services, roles and places say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, TooCostly, Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.features.scheduling.availability import Hours
from fhir_server.features.scheduling.parameters import Rules, rules_of, services_named
from fhir_server.features.scheduling.working_hours import hours_of
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.stored import MOST, by_name, find_rows, local

Resource = Mapping[str, Any]
# More than that are loaded with all others instead of being named in the search.
_NAMED = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A Schedule whose time is taken. `rid`: its row; `hours`: of whom it is about; `rules`: for the service; `keys`:
    of whose time it is (core.keys.self_key); `lead`: of those the first person, whose visits count; `actors`: them as
    participants."""

    rid: int
    schedule: Resource
    hours: Hours
    rules: Rules
    keys: tuple[int, ...]
    lead: int
    actors: tuple[Resource, ...]

    @property
    def name(self) -> str:
        """`Schedule/id`."""
        return f"Schedule/{self.schedule['id']}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A service (None: any visit) that a Schedule offers. `actors`: the participants as References, without rooms and
    others of `groups`, in each of which one Schedule is needed besides; `role`: the PractitionerRole it is done in;
    `offered`: whether the Schedule does offer the service."""

    service_rid: int
    service: Resource | None
    main: Place
    groups: tuple[tuple[Place, ...], ...]
    actors: tuple[Resource, ...]
    role: Resource | None
    location: Resource | None
    offered: bool

    @property
    def rules(self) -> Rules:
        """The rules of the service with the main Schedule."""
        return self.main.rules


@dataclass(slots=True)
class Catalogue:
    """What is offered in a tenant. `rooms`: Schedules that are needed by others only; `broken`: what is stored but
    cannot be used."""

    ctx: Context
    services: dict[str, tuple[int, Resource]]
    schedules: dict[str, tuple[int, Resource]]
    roles: Sequence[Resource]
    places: dict[str, Resource] = field(default_factory=dict)
    rooms: dict[str, tuple[int, Resource]] = field(default_factory=dict)
    broken: list[Issue] = field(default_factory=list)

    def offers(
        self, services: Iterable[str | None] | None = None, schedules: Iterable[str] | None = None
    ) -> list[Offer]:
        """The offers of these services (`HealthcareService/id`) by these Schedules; None: of all."""
        found = []
        wanted = None if services is None else set(services)
        for name in self.schedules if schedules is None else schedules:
            for service in self.services_of(name) if self._in_office(name) else ():
                if wanted is not None and service not in wanted:
                    continue
                try:
                    offer = self.offer(service, name)
                except Unprocessable as error:
                    self.broken += [replace(issue, severity="warning") for issue in error.within(name).issues]
                    continue
                if (offer.location or {}).get("status", "active") == "active":
                    found.append(offer)
        return found

    def offer(
        self, service_name: str | None, schedule_name: str, rooms: Sequence[Sequence[str]] | None = None
    ) -> Offer:
        """One offer. `rooms`: the Schedules to choose from beside the main one, instead of those that the rules name.
        Raises `Unprocessable` for parameters that cannot be."""
        service_rid, service = self.services.get(service_name or "", (0, None))
        rid, schedule = self.schedules[schedule_name]
        role = self._role(service_name, schedule)
        location = self._location(service, schedule, role)
        rules = rules_of(service, schedule, self.ctx.tenant.zone)
        hours = hours_of(schedule, role, location, service)
        main = Place(rid, schedule, hours, rules, *self._keys(schedule, role), tuple(self._actors(schedule, role)))
        asked = [needed.schedules for needed in rules.resources] if rooms is None else rooms
        groups = tuple(tuple(self._rooms(service, names)) for names in asked)
        actors = tuple(_with(main.actors, location, service))
        offered = service_name in self.services_of(schedule_name)
        return Offer(service_rid, service, main, groups, actors, role, location, offered)

    def _rooms(self, service: Resource | None, names: Iterable[str]) -> Iterator[Place]:
        for name in names:
            found = self.schedules.get(name) or self.rooms.get(name)
            if found is None:
                continue
            rid, schedule = found
            role = self._role(None, schedule)
            actors = tuple(self._actors(schedule, role))
            # A room is open unless it says when; a person works when he says so.
            someone = any("Practitioner" in actor["reference"] for actor in actors)
            hours = hours_of(schedule, role, None, None, always=not someone)
            rules = rules_of(service, schedule, self.ctx.tenant.zone)
            yield Place(rid, schedule, hours, rules, *self._keys(schedule, role), actors)

    def _keys(self, schedule: Resource, role: Resource | None) -> tuple[tuple[int, ...], int]:
        """Keys of those whose time a Schedule is about, and of the first person among them."""
        names = [local(self.ctx, actor) for actor in schedule.get("actor", ())]
        if role is not None and f"PractitionerRole/{role['id']}" in names:
            names.insert(0, local(self.ctx, role.get("practitioner")))
        named = sorted(dict.fromkeys(filter(None, names)), key=lambda name: not name.startswith("Practitioner/"))
        keys = [self_key(*name.split("/")) for name in named]
        return tuple(sorted(keys)), keys[0] if keys else 0

    def _in_office(self, name: str) -> bool:
        """Whether the roles that a Schedule is of, if any, are active."""
        roles = {f"PractitionerRole/{role['id']}" for role in self.roles}
        actors = [local(self.ctx, actor) for actor in self.schedules[name][1].get("actor", ())]
        return all(each in roles for each in actors if each and each.startswith("PractitionerRole/"))

    def actors(self, name: str) -> list[str]:
        """`Type/id` of a Schedule's actors; a role means its practitioner, too."""
        schedule = self.schedules[name][1]
        found = [local(self.ctx, actor) for actor in schedule.get("actor", ())]
        named = [role for role in self.roles if f"PractitionerRole/{role['id']}" in found]
        return [each for each in (*found, *(local(self.ctx, role.get("practitioner")) for role in named)) if each]

    def people(self, name: str) -> list[str]:
        """`Practitioner/id` of those whose Schedule it is; none for a room's or a device's."""
        return [each for each in self.actors(name) if each.startswith("Practitioner/")]

    def services_of(self, name: str) -> list[str | None]:
        """The services of a Schedule: those that it or its practitioner's roles name, else those of its serviceType."""
        schedule = self.schedules[name][1]
        actors = [local(self.ctx, actor) for actor in schedule.get("actor", ())]
        types = codings(schedule.get("serviceType"))
        named = services_named(schedule) | {each for each in actors if each and each.startswith("HealthcareService/")}
        for role in self._roles(schedule):
            for service in filter(None, (local(self.ctx, each) for each in role.get("healthcareService", ()))):
                known = self.services.get(service)
                if known is None or not types or types & codings(known[1].get("type")):
                    named.add(service)
        found: list[str | None] = [name for name in sorted(named) if name in self.services]
        if not named and types:
            found += [n for n, (_, service) in sorted(self.services.items()) if types & codings(service.get("type"))]
        return found or ([None] if self.people(name) and not named else [])

    def _roles(self, schedule: Resource) -> list[Resource]:
        actors = {local(self.ctx, actor) for actor in schedule.get("actor", ())}
        exact = [role for role in self.roles if f"PractitionerRole/{role['id']}" in actors]
        return exact or [role for role in self.roles if local(self.ctx, role.get("practitioner")) in actors]

    def _role(self, service: str | None, schedule: Resource) -> Resource | None:
        """The role in which the Schedule's practitioner does the service, at the Schedule's place."""
        at = {local(self.ctx, actor) for actor in schedule.get("actor", ())}
        best: tuple[int, Resource] | None = None
        for role in self._roles(schedule):
            services = [local(self.ctx, each) for each in role.get("healthcareService", ())]
            score = 2 * (service in services) + any(local(self.ctx, each) in at for each in role.get("location", ()))
            if best is None or score > best[0]:
                best = score, role
        return best[1] if best else None

    def _location(self, service: Resource | None, schedule: Resource, role: Resource | None) -> Resource | None:
        owners = ((schedule, "actor"), (role, "location"), (service, "location"))
        names = [local(self.ctx, each) for owner, element in owners for each in (owner or {}).get(element, ())]
        return next((self.places[name] for name in names if name in self.places), None)

    def _actors(self, schedule: Resource, role: Resource | None) -> Iterator[Resource]:
        """References of a Schedule's actors: a role stands for its practitioner, whom every client understands."""
        seen = set()
        for actor in schedule.get("actor", ()):
            name = local(self.ctx, actor)
            if role is not None and name == f"PractitionerRole/{role['id']}" and "practitioner" in role:
                actor = role["practitioner"]
                name = local(self.ctx, actor)
            if name is not None and name not in seen:
                seen.add(name)
                yield _reference(name, actor.get("display"))


def _with(actors: Sequence[Resource], *others: Resource | None) -> Iterator[Resource]:
    """References of actors, and of these resources if they are not among them."""
    yield from actors
    for resource in filter(None, others):
        name = f"{resource['resourceType']}/{resource['id']}"
        if all(actor["reference"] != name for actor in actors):
            yield _reference(name, resource.get("name"))


def _reference(name: str, display: str | None) -> Resource:
    return {"reference": name, "display": display} if display else {"reference": name}


def load(ctx: Context, practitioners: Sequence[str] = (), schedules: Sequence[str] | None = None) -> Catalogue:
    """What is active in the tenant. `practitioners` (`Practitioner/id`): only theirs; `schedules`: only these.

    Raises `TooCostly` when a tenant has more Schedules or services than can be looked at together.
    """
    server = as_server(ctx)
    pairs: list[tuple[str, str]] = []
    if 0 < len(practitioners) <= _NAMED:
        pairs = [("practitioner", ",".join(practitioners))]
    roles = [role for _, role in _named(server, "PractitionerRole", pairs).values()]
    if schedules is not None:
        pairs = [("_id", ",".join(name.partition("/")[2] for name in schedules))]
    elif pairs:
        actors = [*practitioners, *(f"PractitionerRole/{role['id']}" for role in roles)]
        pairs = [("actor", ",".join(actors))]
    found = Catalogue(ctx, _named(server, "HealthcareService", []), _named(server, "Schedule", pairs), roles)
    load_needed(server, found)
    return found


def load_needed(server: Context, found: Catalogue) -> None:
    """The places that are spoken of, and the Schedules that others need."""
    wanted: set[str] = set()
    names: set[str] = set()
    resources = [entry[1] for entry in (*found.services.values(), *found.schedules.values())]
    for resource in (*resources, *found.roles):
        for reference in (*resource.get("actor", ()), *resource.get("location", ())):
            name = local(server, reference)
            if name is not None and name.startswith("Location/"):
                names.add(name)
    for resource in resources:
        for extension in resource.get("extension", ()):
            wanted.update(_resources(extension))
    found.places = dict(by_name(server, sorted(names))) if names else {}
    missing = sorted(wanted - found.schedules.keys())
    if missing:
        rooms = _named(server, "Schedule", [("_id", ",".join(name.partition("/")[2] for name in missing))])
        found.rooms.update(rooms)
        found.roles = [*found.roles, *_roles_of(server, rooms.values(), found.roles)]


def _roles_of(server: Context, rooms: Iterable[tuple[int, Resource]], known: Sequence[Resource]) -> list[Resource]:
    """The roles of people who are needed besides, as far as they are not known."""
    actors = {local(server, actor) or "" for _, schedule in rooms for actor in schedule.get("actor", ())}
    ids = {role["id"] for role in known}
    named = [name for name in actors if name.startswith("PractitionerRole/")]
    people = sorted(name for name in actors if name.startswith("Practitioner/"))
    roles = list(by_name(server, named).values()) if named else []
    if people:
        roles += find_rows(server, "PractitionerRole", [("practitioner", ",".join(people))]).values()
    return [role for role in roles if role["id"] not in ids and role.get("active", True)]


def _resources(extension: Resource) -> Iterator[str]:
    for part in extension.get("extension", ()):
        if part.get("url") == "resource":
            for inner in part.get("extension", ()):
                if "valueReference" in inner:
                    yield "/".join(inner["valueReference"].get("reference", "").split("/")[-2:])


def _named(server: Context, kind: str, pairs: list[tuple[str, str]]) -> dict[str, tuple[int, Resource]]:
    # Who says nothing about it is active.
    rows = find_rows(server, kind, [*pairs, ("active:not", "false")])
    if len(rows) >= MOST:
        raise TooCostly(f"There are too many {kind} resources here to look at all: name the practitioner.")
    return {f"{kind}/{each['id']}": (rid, each) for rid, each in sorted(rows.items())}


def codings(concepts: Any) -> set[tuple[str, str]]:
    """(system, code) of all codings of CodeableConcepts."""
    found = [coding for each in concepts or () for coding in each.get("coding", ())]
    return {(coding.get("system", ""), coding.get("code", "")) for coding in found}
