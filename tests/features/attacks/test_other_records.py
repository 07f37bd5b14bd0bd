"""A patient's token at another patient's visits, tickets and messages: hidden is as if it were missing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.core.resource_json import decode, encode
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.attacks.tries import Json, given, reference
from tests.features.queue.counter import Counter
from tests.features.scheduling.clinic_day import Practice, in_days, iso, matched, slots_of
from tests.features.scheduling.clinic_day import given as booking

START = in_days()
PATCH = "application/json-patch+json"


@dataclass
class Town:
    """Two patients of a clinic, with a visit, a ticket and a message of the other one."""

    tenant: TestTenant
    client: Client

    def __post_init__(self) -> None:
        self.practice = Practice(self.client)
        self.me, self.other = self.practice.patient(), self.practice.patient()
        self.visit = self.practice.booked(self.other, START)
        self.counter = Counter(self.client, self.tenant.id, rules={"remoteTickets": True})
        self.ticket = self.counter.take(patient=self.other)
        message = {"resourceType": "Communication", "status": "completed", "subject": {"reference": self.other}}
        self.message = self.client.create(message)
        relative = {"resourceType": "RelatedPerson", "patient": {"reference": self.other}}
        self.relative = self.client.create(relative)

    def mine(self, scope: str = "patient/*.cruds") -> Client:
        return self.tenant.client(scope, patient=self.me.split("/")[1])

    def own(self, **more: Any) -> Json:
        return self.practice.appointment(self.me, START + timedelta(hours=6), **more)

    def tries(self) -> list[tuple[str, str, str, Any]]:
        """(the hidden id, method, path, body); `{id}` stands for the id."""
        visit, other = self.visit["id"], self.other.split("/")[1]
        found: list[tuple[str, str, str, Any]] = []
        named = given(reference("appointment-reference", "Appointment/{id}"))
        for code in ("cancel", "confirm", "decline", "accept", "refuse"):
            found += [
                (visit, "POST", f"Appointment/{{id}}/${code}", None),
                (visit, "POST", f"Appointment/${code}", named),
            ]
        for code in ("hold", "book"):
            found.append((visit, "POST", f"Appointment/${code}", named))
        later = given({"name": "start", "valueDateTime": iso(START + timedelta(hours=5))})
        for_other = self.practice.appointment("Patient/{id}", START + timedelta(hours=6))
        sent = [{"name": "appointment-resource", "resource": self.own()},
                {"name": "patient-resource", "resource": {"resourceType": "Patient", "id": "{id}"}}]  # fmt: skip
        given_back = {"name": "appointment-resource", "resource": {**self.visit, "id": "{id}"}}
        find = f"Appointment/$find?start={iso(START)}&end={iso(START + timedelta(hours=8))}"
        found += [
            (visit, "POST", "Appointment/{id}/$check-in", None),
            (visit, "POST", "Appointment/{id}/$waitlist-offer", None),
            (visit, "POST", "Appointment/{id}/$reschedule", later),
            (visit, "GET", "Appointment/{id}/$ics", None),
            (visit, "POST", "Appointment/$book", given(given_back)),
            (other, "POST", "Appointment/$book", booking(for_other)),
            (other, "POST", "Appointment/$book", given(*sent)),
            (
                other,
                "POST",
                "Appointment/$join-waitlist",
                booking({**for_other, "requestedPeriod": [{"start": iso(START)}]}),
            ),
            (other, "GET", f"{find}&patient-reference=Patient/{{id}}", None),
            (visit, "PUT", "Appointment/{id}", self.own(id="{id}")),
            (visit, "PATCH", "Appointment/{id}", [{"op": "replace", "path": "/status", "value": "cancelled"}]),
            (visit, "DELETE", "Appointment/{id}", None),
            (visit, "GET", "Appointment/{id}/_history", None),
            (visit, "GET", "Appointment?_id={id}", None),
            (visit, "GET", "Slot?_has:Appointment:slot:_id={id}", None),
            (other, "GET", "Slot?_has:Appointment:slot:patient={id}", None),
            (other, "GET", "Task?patient=Patient/{id}", None),
        ]
        return [*found, *self.tries_of_tickets(), *self.tries_of_messages()]

    def tries_of_tickets(self) -> list[tuple[str, str, str, Any]]:
        """The same for tickets."""
        visit, task, other = self.visit["id"], self.ticket["id"], self.other.split("/")[1]
        found: list[tuple[str, str, str, Any]] = []
        for code in ("call", "cancel", "check-in", "finish", "no-show", "recall", "return", "skip", "start", "undo"):
            found.append((task, "POST", f"Task/{{id}}/${code}", None))
        queue = f"HealthcareService/{self.counter.id}"
        found += [
            (task, "POST", "Task/{id}/$ticket-link", None),
            (task, "GET", "Task/{id}/$position", None),
            (task, "POST", "Task/{id}/$transfer", given(reference("to", queue))),
            (task, "PATCH", "Task/{id}", [{"op": "replace", "path": "/status", "value": "cancelled"}]),
            (task, "PUT", "Task/{id}", {**self.ticket, "id": "{id}"}),
            (other, "POST", f"{queue}/$take-ticket", given(reference("patient", "Patient/{id}"))),
            (visit, "POST", f"{queue}/$take-ticket", given(reference("appointment", "Appointment/{id}"))),
        ]
        return found

    def tries_of_messages(self) -> list[tuple[str, str, str, Any]]:
        """The same for messages, and for who wants which."""
        other = self.other.split("/")[1]
        subscription = given({"name": "endpoint", "valueUrl": "https://push.example/x"})
        found: list[tuple[str, str, str, Any]] = [
            (self.message["id"], "GET", "Communication/{id}", None),
            (self.message["id"], "POST", "Communication/{id}/$resend", None),
        ]
        for kind, id_ in (("Patient", other), ("RelatedPerson", self.relative["id"])):
            found += [
                (id_, "GET", f"{kind}/{{id}}/$message-preferences", None),
                (
                    id_,
                    "POST",
                    f"{kind}/{{id}}/$set-message-preferences",
                    given({"name": "wanted", "valueBoolean": False}),
                ),
                (id_, "POST", f"{kind}/{{id}}/$push-unsubscribe", subscription),
            ]
        return found


def send(client: Client, method: str, path: str, body: Any, id_: str) -> Answer:
    filled = None if body is None else decode(encode(body).replace(b"{id}", id_.encode()))
    headers = {"content_type": PATCH} if method == "PATCH" else {}
    return client.request(method, path.replace("{id}", id_), filled, **headers)


def shape(answer: Answer, id_: str) -> tuple[int, str, list[str]]:
    """What an answer says, without the id that was asked for, other ids, and the time."""
    text = answer.text.replace(id_, "ID")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)", "…", text)
    return answer.status, text, sorted(answer.headers.keys())


@pytest.fixture(scope="module")
def town(tenant: TestTenant, client: Client) -> Town:
    return Town(tenant, client)


def test_hidden_is_missing(town: Town) -> None:
    mine, missing = town.mine(), str(uuid4())
    for hidden, method, path, body in town.tries():
        answers = [(send(mine, method, path, body, id_), id_) for id_ in (hidden, missing)]
        assert shape(*answers[0]) == shape(*answers[1]), (method, path)
        assert answers[0][0].status >= 400 or method in ("GET", "DELETE"), (method, path)
    for name in (f"Appointment/{town.visit['id']}", f"Task/{town.ticket['id']}"):
        assert town.client.get(name).json["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    "scope",
    [
        "user/Appointment.r",
        "user/Appointment.rs user/Task.rs user/HealthcareService.rs user/Patient.rs user/Schedule.rs user/Slot.rs",
        "patient/Appointment.rs patient/Task.rs patient/Patient.rs",
    ],
)
def test_who_may_only_read_changes_nothing(town: Town, scope: str) -> None:
    owner = town.other.split("/")[1] if scope.startswith("patient/") else None
    reader = town.tenant.client(scope, patient=owner)
    queue, doctor, schedule = (
        f"HealthcareService/{town.counter.id}",
        town.practice.practitioner[0],
        town.practice.schedule[0],
    )
    day = {"name": "period", "valuePeriod": {"start": iso(START), "end": iso(START + timedelta(hours=9))}}
    tries = [each for each in town.tries() if each[1] != "GET"]
    tries += [("", "POST", f"{queue}/${code}", None) for code in ("call-next", "open", "close", "pause", "take-ticket")]
    tries += [("", "POST", f"{doctor}/${code}", given(day)) for code in ("absence", "end-absence")]
    tries += [("", "POST", f"{schedule}/${code}", None) for code in ("calendar-link", "revoke-calendar-links")]
    for id_, method, path, body in tries:
        answer = send(reader, method, path, body, id_)
        assert 400 <= answer.status < 500, (method, path, answer.text)


@pytest.mark.parametrize("status", ["proposed", "waitlist", "pending", "booked"])
def test_the_slots_of_others_stay(town: Town, status: str) -> None:
    """Cancelling an own visit that names somebody else's Slot takes nothing from him."""
    mine, resource = town.mine(), {**town.own(slot=town.visit["slot"]), "status": status}
    if status == "waitlist":
        resource |= {"requestedPeriod": [{"start": resource.pop("start"), "end": resource.pop("end")}]}
    made = mine.post("Appointment", resource)
    if made.status == 201:
        mine.post(f"Appointment/{made.id}/$cancel")
    assert [slot["status"] for slot in slots_of(town.client, town.visit)] == ["busy"]
    assert town.practice.book(town.practice.patient(), START).status == 409


def test_the_same_key_of_another_patient_is_another_key(town: Town) -> None:
    request = booking(town.practice.appointment(None, START + timedelta(hours=2)))
    first = town.mine().post("Appointment/$book", request, idempotency_key="same")
    other = town.tenant.client("patient/*.cruds", patient=town.other.split("/")[1])
    second = other.post("Appointment/$book", request, idempotency_key="same")
    assert (first.status, second.status) == (200, 409)
    assert matched(first)["id"] not in second.text
    assert town.me not in second.text


def test_the_series_of_others_goes_on(town: Town) -> None:
    series = [{"system": "urn:salam:series", "value": "of-the-other"}]
    later = START + timedelta(days=2)
    theirs = town.client.create(town.practice.appointment(town.other, later, status="booked", identifier=series))
    made = town.mine().post("Appointment", town.own(identifier=series, status="booked"))
    if made.status == 201:
        given_up = given({"name": "series", "valueBoolean": True})
        assert theirs["id"] not in town.mine().post(f"Appointment/{made.id}/$cancel", given_up).text
    assert town.client.get(f"Appointment/{theirs['id']}").json["status"] == "booked"


def test_nobody_brings_others_into_his_visit(town: Town) -> None:
    mine, start = town.mine(), START + timedelta(hours=4)
    visit = town.practice.appointment(town.me, start)
    guest = {"actor": {"reference": town.other}, "status": "accepted"}
    both = {**visit, "participant": [*visit["participant"], guest]}
    assert mine.post("Appointment/$book", booking(both)).status == 404
    assert mine.post("Appointment", {**both, "status": "booked"}).status == 422
    own = matched(mine.post("Appointment/$book", booking(visit)))
    for step in ({"op": "add", "path": "/participant/-", "value": guest}, {"op": "remove", "path": "/participant/2"}):
        assert mine.patch(f"Appointment/{own['id']}", [step], content_type=PATCH).status in (403, 422)


def test_a_queue_of_another_service_gives_no_place(town: Town) -> None:
    elsewhere = Counter(town.client, town.tenant.id, rules={"remoteTickets": True})
    booked = matched(town.practice.book(town.me, START + timedelta(hours=7)))
    for path in (f"Appointment/{booked['id']}/$check-in",):
        answer = town.mine().post(path, given(reference("queue", f"HealthcareService/{elsewhere.id}")))
        assert answer.status == 422


def test_what_is_not_booked_online(client: Client, tenant: TestTenant) -> None:
    practice = Practice(client, {"onlineBooking": False})
    me = practice.patient()
    mine = tenant.client("patient/*.cruds", patient=me.split("/")[1])
    visit = practice.appointment(me, START)
    batch = {"resourceType": "Bundle", "type": "batch"}
    entries = [{"request": {"method": "POST", "url": "Appointment"}, "resource": {**visit, "status": "booked"}}]
    proposal = given(reference("appointment-reference", f"Appointment/{practice.proposal(START)['id']}"))
    mine.post("", {**batch, "entry": entries})
    tries: list[Callable[[], Answer]] = [
        lambda: mine.post("Appointment/$book", booking(visit)),
        lambda: mine.post("Appointment/$hold", proposal),
        lambda: mine.post("Appointment/$book", proposal),
        lambda: mine.post("Appointment", {**visit, "status": "booked"}),
        lambda: mine.post("Appointment", {**visit, "status": "pending"}),
        lambda: mine.post("Appointment/$join-waitlist", booking({**visit, "requestedPeriod": [{"start": iso(START)}]})),
    ]
    assert [attempt().status for attempt in tries] == [422] * len(tries)
    assert client.search(f"Appointment?patient={me}&status=booked,pending") == []
