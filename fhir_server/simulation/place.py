"""What a simulated day needs: two queues, doctors whose whole day is booked, and people who wait for a place."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from fhir_server.simulation.api import Api, Refused

QUEUE, SECOND = "simulation-queue", "simulation-laboratory"
_SERVICE = "simulation-visit"
_TYPE = {"system": "urn:salam:simulation", "code": "visit"}
_E = "urn:salam:StructureDefinition:"
_DOCTORS = 4
_WISHES = 3
_VISIT = 20
_PREPARATION = 6.0
_FAMILIES = (
    "El Amrani",
    "Bennani",
    "Tazi",
    "Alaoui",
    "Berrada",
    "Naciri",
    "Diop",
    "Ndiaye",
    "Fall",
    "Sow",
    "Gueye",
    "Sarr",
)
_GIVEN = (
    "Salma",
    "Imane",
    "Omar",
    "Youssef",
    "Zineb",
    "Karim",
    "Awa",
    "Fatou",
    "Moussa",
    "Ousmane",
    "Khady",
    "Ibrahima",
)
Json = dict[str, Any]


@dataclass(slots=True)
class Place:
    """`begins`: when the day begins; `booked`: simulated minute by id of the Appointment, of who is to come; `wishes`:
    ids of waiting Appointments; `patient`: `Patient/id` by Appointment."""

    begins: datetime
    booked: dict[str, float] = field(default_factory=dict)
    wishes: list[str] = field(default_factory=list)
    patient: dict[str, str] = field(default_factory=dict)


def patient(number: int) -> str:
    """`Patient/id` of a simulated person."""
    return f"Patient/simulation-{number + 1:04}"


def set_up(api: Api, seed: int, speed: float, minutes: float, people: int) -> Place:
    """Make everything and book the doctors' day. Raises `Refused`."""
    # Making all this takes some seconds.
    begins = datetime.now(UTC) + timedelta(seconds=_PREPARATION)
    ends = begins + timedelta(minutes=max(minutes / speed, 2))
    length = max(round(_VISIT / speed), 1)
    entries = [*_queues(api), *_service(length), *_doctors(begins, ends)]
    api.transaction([_put(each) for each in entries])
    random = Random(seed)
    everybody = [_patient(random, number) for number in range(people)]
    for first in range(0, people, 100):
        api.transaction([_put(each) for each in everybody[first : first + 100]])
    _clear(api)
    place = Place(begins)
    _book(api, place, ends, speed)
    _wish(api, place, ends, people)
    for queue in (QUEUE, SECOND):
        with suppress(Refused):  # An earlier day that was cut off left it open.
            api.run(f"HealthcareService/{queue}/$open")
    return place


def take_down(api: Api) -> None:
    """Leave nothing that can be booked. Raises `Refused`."""
    doctors = ",".join(f"simulation-{number}" for number in range(1, _DOCTORS + 1))
    paths = (f"HealthcareService?_id={_SERVICE}", f"Schedule?_id={doctors}", f"PractitionerRole?_id={doctors}")
    found = [entry["resource"] for path in paths for entry in api.every(path)]
    api.transaction([_put({**each, "active": False}) for each in found])


def _clear(api: Api) -> None:
    """End what an earlier day left that was cut off."""
    for entry in api.every(f"Appointment?actor=HealthcareService/{_SERVICE}&status=waitlist,pending,booked&_count=200"):
        with suppress(Refused):
            api.run(f"Appointment/{entry['resource']['id']}/$cancel")
    queues = ",".join(f"HealthcareService/{queue}" for queue in (QUEUE, SECOND))
    for action, states in (("finish", "in-progress"), ("cancel", "requested,accepted,ready,on-hold")):
        for entry in api.every(f"Task?queue={queues}&status={states}&_count=200"):
            with suppress(Refused):
                api.run(f"Task/{entry['resource']['id']}/${action}")


def _book(api: Api, place: Place, ends: datetime, speed: float) -> None:
    """Book all that `$find` proposes, each for somebody else: person n has the n-th appointment."""
    query = f"start={_text(place.begins)}&end={_text(ends)}&visit-type={_TYPE['system']}%7C{_TYPE['code']}&_count=500"
    proposals = [entry["resource"] for entry in api.get(f"Appointment/$find?{query}").get("entry", ())]
    for proposal in proposals:
        if proposal["resourceType"] != "Appointment":
            continue
        who = patient(len(place.booked))
        person = {"resource": {"resourceType": "Patient", "id": who.partition("/")[2]}}
        given = {"valueReference": {"reference": f"Appointment/{proposal['id']}"}}
        try:
            answer = api.run("Appointment/$book", appointment_reference=given, patient_resource=person)
        except Refused as refused:
            # What was proposed may be taken by what was booked before.
            if refused.status != 409:
                raise
            continue
        made = next(e["resource"] for e in answer["entry"] if e["resource"]["resourceType"] == "Appointment")
        start = datetime.fromisoformat(made["start"].replace("Z", "+00:00"))
        place.booked[made["id"]] = (start - place.begins).total_seconds() / 60 * speed
        place.patient[made["id"]] = who


def _wish(api: Api, place: Place, ends: datetime, people: int) -> None:
    """Put the last people on the wait list for any time of the day."""
    for number in range(people - _WISHES, people):
        wish = {
            "resourceType": "Appointment",
            "status": "waitlist",
            "requestedPeriod": [{"start": _text(place.begins), "end": _text(ends)}],
            "participant": [
                {"actor": {"reference": patient(number)}, "status": "accepted"},
                {"actor": {"reference": f"HealthcareService/{_SERVICE}"}, "status": "needs-action"},
            ],
        }
        answer = api.run("Appointment/$join-waitlist", appointment_resource={"resource": wish})
        made = next(e["resource"] for e in answer["entry"] if e["resource"]["resourceType"] == "Appointment")
        place.wishes.append(made["id"])
        place.patient[made["id"]] = patient(number)


# -- resources ---------------------------------------------------------------------------------------------------------


def _put(resource: Json) -> Json:
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}


def _queues(api: Api) -> Iterator[Json]:
    # Whether a queue is open stays as an earlier day left it: only operations change that.
    found = [entry["resource"] for entry in api.every(f"HealthcareService?_id={QUEUE},{SECOND}")]
    states = {each["id"]: [e for e in each.get("extension", ()) if e["url"] == f"{_E}queue-state"] for each in found}
    for queue, name, prefix, other in (
        (QUEUE, "Simulation", "S", SECOND),
        (SECOND, "Simulation: laboratory", "L", QUEUE),
    ):
        parts = [
            {"url": "prefix", "valueString": prefix},
            # A minute of the server's is the shortest that a queue can say.
            {"url": "graceMinutes", "valueUnsignedInt": 1},
            {"url": "serviceMinutes", "valuePositiveInt": 1},
            {"url": "earlyTolerance", "valueUnsignedInt": 1440},
            {"url": "transferTo", "valueReference": {"reference": f"HealthcareService/{other}"}},
        ]
        extension = [{"url": f"{_E}queue-configuration", "extension": parts}, *states.get(queue, ())]
        yield {"resourceType": "HealthcareService", "id": queue, "active": True, "name": name, "extension": extension}


def _service(length: int) -> Iterator[Json]:
    parts = [
        {"url": "duration", "valuePositiveInt": length},
        {"url": "alignmentInterval", "valuePositiveInt": length},
        # The wait list makes offers for what is booked online only; real patients are offered nothing.
        {"url": "onlineBooking", "valueBoolean": True},
        {"url": "eligibility", "valueString": "id.startsWith('simulation-')"},
        {"url": "minNotice", "valueUnsignedInt": 0},
    ]
    yield {
        "resourceType": "HealthcareService",
        "id": _SERVICE,
        "active": True,
        "name": "Simulation: visit",
        "type": [{"coding": [_TYPE]}],
        "extension": [{"url": f"{_E}scheduling-parameters", "extension": parts}],
    }


def _doctors(begins: datetime, ends: datetime) -> Iterator[Json]:
    opening = {"url": "extra", "valuePeriod": {"start": _text(begins), "end": _text(ends)}}
    for number in range(1, _DOCTORS + 1):
        id_ = f"simulation-{number}"
        yield {"resourceType": "Practitioner", "id": id_, "active": True, "name": [{"family": f"Simulation {number}"}]}
        yield {
            "resourceType": "PractitionerRole",
            "id": id_,
            "active": True,
            "practitioner": {"reference": f"Practitioner/{id_}"},
            "healthcareService": [{"reference": f"HealthcareService/{_SERVICE}"}],
        }
        yield {
            "resourceType": "Schedule",
            "id": id_,
            "active": True,
            "actor": [{"reference": f"Practitioner/{id_}"}],
            "extension": [{"url": f"{_E}scheduling-parameters", "extension": [opening]}],
        }


def _patient(random: Random, number: int) -> Json:
    given, family = random.choice(_GIVEN), random.choice(_FAMILIES)
    name = {"text": f"{given} {family}", "given": [given], "family": family}
    return {"resourceType": "Patient", "id": patient(number).partition("/")[2], "active": True, "name": [name]}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
