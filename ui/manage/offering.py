"""Who offers a service: the PractitionerRoles of those with a Schedule, and Schedules with rules for the service."""

from dataclasses import dataclass
from typing import Any

from ui import fhir
from ui.formats import person
from ui.manage import parts
from ui.manage.service_form import PARAMETERS


@dataclass(frozen=True, slots=True)
class Offerer:
    """Somebody with a Schedule. `by_schedule`: the Schedule itself names the service, which stays so."""

    practitioner: str
    name: str
    schedule: str
    offers: bool
    by_schedule: bool


def offered(service: str) -> list[Offerer]:
    """All professionals with an active Schedule, by name."""
    schedules, roles = fhir.gather([
        ("Schedule", {"active": "true", "_include": "Schedule:actor", "_count": 200}),
        ("PractitionerRole", {"active": "true", "_count": 500}),
    ])  # fmt: skip
    if isinstance(schedules, fhir.Refused) or isinstance(roles, fhir.Refused):
        return []
    holders = {_practitioner(each) for each in roles.resources if service in _services(each)}
    found = []
    for schedule in schedules.resources:
        actor = next((str(each.get("reference", "")) for each in schedule.get("actor", ())), "")
        if not actor.startswith("Practitioner/"):
            continue
        known = schedules.by_reference.get(actor, {})
        by_schedule = service in _named(schedule)
        name = person(known.get("name")) or str(schedule["actor"][0].get("display", actor))
        found.append(Offerer(actor, name, str(schedule["id"]), actor in holders or by_schedule, by_schedule))
    return sorted(found, key=lambda each: each.name.casefold())


def change(service: str, wanted: set[str], organization: str) -> None:
    """Have exactly these practitioners (`Practitioner/id`) offer a service by their roles, in one transaction."""
    roles = fhir.search("PractitionerRole", {"active": "true", "_count": 500}).resources
    by_person: dict[str, list[dict[str, Any]]] = {}
    for each in roles:
        by_person.setdefault(_practitioner(each), []).append(each)
    entries = []
    for offerer in offered(service):
        mine = by_person.get(offerer.practitioner, [])
        if offerer.practitioner in wanted and not offerer.offers:
            made = _put(_with(mine[0], service)) if mine else _post(offerer.practitioner, service, organization)
            entries.append(made)
        elif offerer.practitioner not in wanted:
            entries += [_put(_without(role, service)) for role in mine if service in _services(role)]
    if entries:
        fhir.transaction(entries)


def _practitioner(role: dict[str, Any]) -> str:
    return str(role.get("practitioner", {}).get("reference", ""))


def _services(role: dict[str, Any]) -> list[str]:
    return [str(each.get("reference", "")) for each in role.get("healthcareService", ())]


def _named(schedule: dict[str, Any]) -> set[str]:
    found = set()
    for extension in schedule.get("extension", ()):
        if extension.get("url") == PARAMETERS:
            found |= {str((parts.value_of(p) or {}).get("reference")) for p in parts.parts_of(extension, "service")}
    return found


def _with(role: dict[str, Any], service: str) -> dict[str, Any]:
    return {**role, "healthcareService": [*role.get("healthcareService", ()), {"reference": service}]}


def _without(role: dict[str, Any], service: str) -> dict[str, Any]:
    kept = [each for each in role["healthcareService"] if each.get("reference") != service]
    made = {key: value for key, value in role.items() if key != "healthcareService"}
    return {**made, "healthcareService": kept} if kept else made


def _put(role: dict[str, Any]) -> dict[str, Any]:
    match = f'W/"{role["meta"]["versionId"]}"'
    return {"resource": role, "request": {"method": "PUT", "url": f"PractitionerRole/{role['id']}", "ifMatch": match}}


def _post(practitioner: str, service: str, organization: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "PractitionerRole", "active": True, "practitioner": {"reference": practitioner},
        "healthcareService": [{"reference": service}],
        **({"organization": {"reference": organization}} if organization else {}),
    }  # fmt: skip
    return {"resource": made, "request": {"method": "POST", "url": "PractitionerRole"}}
