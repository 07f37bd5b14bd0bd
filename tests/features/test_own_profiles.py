"""What a clinic's day leaves behind conforms to this server's own profiles, and the checker can tell what does not."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhir_server.conformance.own_definitions import own_definitions
from tests.conftest import TestTenant
from tests.features.clinic_day import Day, Json, played
from tests.features.own_profiles import problems

PROFILES = {
    "queue-ticket": "Task",
    "visit": "Encounter",
    "booked-appointment": "Appointment",
    "taken-slot": "Slot",
    "message": "Communication",
}
E = "urn:salam:StructureDefinition:"


@pytest.fixture(scope="module")
def stored(new_tenant: Callable[[], TestTenant]) -> Iterator[dict[str, list[Json]]]:
    """What is stored after a booking, a walk-in, an emergency, a skip, a no-show, a transfer, a hold and a wait, by profile;
    every version of it."""
    with played(new_tenant()) as day:
        first, second, third = day.proposals()
        booked = day.book(first, day.patient())
        day.wait_for(third, day.patient())
        assert day.staff.post("Appointment/$hold", _reference(second)).status == 200
        day.at(25)
        tickets = [
            day.check_in(booked),
            *(day.act(f"{day.service}/$take-ticket", patient=day.patient()) for _ in range(3)),
        ]
        tickets.append(day.act(f"{day.service}/$take-ticket", kind="emergency", reason="Chest pain"))
        day.act(f"Task/{tickets[3]['id']}/$skip", reason="In labour")
        for _ in range(3):
            day.serve(day.call())
        called = day.call()
        day.act(f"Task/{called['id']}/$absent")
        day.act(f"Task/{called['id']}/$no-show")
        day.told(called["for"]["reference"], "ticket-no-show") if "for" in called else day.work()
        yield {name: _versions(day, name) for name in PROFILES}


def _reference(proposal: Json) -> Json:
    reference = {"reference": f"Appointment/{proposal['id']}"}
    return {"resourceType": "Parameters", "parameter": [{"name": "appointment-reference", "valueReference": reference}]}


def _versions(day: Day, name: str) -> list[Json]:
    kind = PROFILES[name]
    found = [e["resource"] for e in day.staff.get(f"{kind}/_history?_count=200").json["entry"] if "resource" in e]
    if name == "visit":
        of_tickets = {each.get("encounter", {}).get("reference") for each in day.staff.search("Task?_count=100")}
        return [each for each in found if f"Encounter/{each['id']}" in of_tickets]
    return found


def test_the_five_types_have_one_profile_each() -> None:
    own = {each["id"]: each["type"] for each in own_definitions("structures") if each["type"] != "Extension"}
    assert {name: own[name] for name in PROFILES} == PROFILES


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_stored_conforms(stored: dict[str, list[Json]], name: str) -> None:
    assert stored[name]
    for resource in stored[name]:
        assert problems(resource, name) == [], resource


def without(*path: Any) -> Callable[[Json], None]:
    """Takes away what stands there."""

    def change(resource: Json) -> None:
        for each in path[:-1]:
            resource = resource[each]
        del resource[path[-1]]

    return change


def put(*path: Any, value: Any) -> Callable[[Json], None]:
    """Puts something else there."""

    def change(resource: Json) -> None:
        for each in path[:-1]:
            resource = resource[each]
        resource[path[-1]] = value

    return change


def twice(name: str) -> Callable[[Json], None]:
    """Repeats the first of a list."""
    return lambda resource: resource[name].append(resource[name][0])


def without_extension(name: str) -> Callable[[Json], None]:
    """Takes an extension away."""

    def change(resource: Json) -> None:
        resource["extension"] = [each for each in resource["extension"] if each["url"] != f"{E}{name}"]

    return change


HOLD = {"url": f"{E}hold-expires", "valueInstant": "2027-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("name", "change", "element"),
    [
        ("queue-ticket", without_extension("ticket-queue"), "Task.extension:queue"),
        ("queue-ticket", twice("extension"), "Task.extension:queue"),
        ("queue-ticket", put("intent", value="plan"), "Task.intent"),
        ("queue-ticket", put("code", value={"text": "ticket"}), "Task.code"),
        ("queue-ticket", put("businessStatus", "coding", 0, "code", value="sleeping"), "Task.businessStatus"),
        ("queue-ticket", without("identifier"), "Task.identifier"),
        ("visit", without("subject"), "Encounter.subject"),
        ("visit", put("class", "code", value="IMP"), "Encounter.class"),
        ("visit", without("statusHistory", 0, "period", "end"), "Encounter.statusHistory.period.end"),
        ("booked-appointment", put("extension", value=[HOLD]), "Appointment"),
        ("booked-appointment", put("extension", value=[HOLD, HOLD]), "Appointment.extension:holdExpires"),
        ("booked-appointment", put("end", value="2020-01-01T00:00:00Z"), "Appointment"),
        ("taken-slot", put("end", value="2020-01-01T00:00:00Z"), "Slot"),
        ("message", put("category", 0, "coding", 0, "code", value="greeting"), "Communication.category"),
        ("message", without("about"), "Communication.about"),
        ("message", twice("recipient"), "Communication.recipient"),
    ],
)
def test_the_checker_can_fail(
    stored: dict[str, list[Json]], name: str, change: Callable[[Json], None], element: str
) -> None:
    complete = (each for each in stored[name] if name != "visit" or "statusHistory" in each)
    bad = copy.deepcopy(next(each for each in complete if each["status"] not in ("pending", "waitlist", "cancelled")))
    change(bad)
    assert element in [each.split(": ")[0] for each in problems(bad, name)]
