"""$queue and $position over HTTP: what staff, patients and boards see, and that nothing is changed."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core import clock
from fhir_server.features.queue.snapshot import label
from fhir_server.validation.run import validate
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.place import Place, plain

PAID = [{"url": "kinds", "valueCode": kind} for kind in ("normal", "vip", "emergency", "appointment")]


@pytest.fixture
def place(tenant: TestTenant, client: Client) -> Place:
    return Place.new(tenant, client, *PAID, {"url": "paidEvery", "valuePositiveInt": 2})


def queue(client: Client, place: Place) -> dict[str, Any]:
    answer = client.get(f"HealthcareService/{place.id}/$queue")
    assert answer.status == 200, answer.text
    validate(base_registry(), answer.json)
    return plain(answer.json)


def test_an_empty_queue(client: Client, place: Place) -> None:
    found = queue(client, place)
    assert (found["state"], found["waiting"], "tickets" in found) == ("open", 0, False)
    assert found["computedAt"].endswith("Z")


def test_desks_first_then_who_waits_by_position(client: Client, place: Place) -> None:
    now = clock.now()
    for minutes, kind in (
        (40, "normal"),
        (30, "normal"),
        (20, "normal"),
        (19, "normal"),
        (18, "vip"),
        (5, "emergency"),
    ):
        place.ticket(kind, minutes=minutes)
    place.change(
        1, state="served", called_at=now - timedelta(minutes=35), ended_at=now - timedelta(minutes=20), desk="1"
    )
    place.change(2, state="serving", called_at=now - timedelta(minutes=15), started_at=now, desk="Desk 2")
    found = queue(client, place)
    assert found["waiting"] == 4
    shown = [(t["number"], t["state"], t.get("position"), t.get("desk")) for t in found["tickets"]]
    assert shown == [
        ("A-002", "serving", None, "Desk 2"),
        ("A-006", "waiting", 1, None),
        ("A-003", "waiting", 2, None),
        ("A-005", "waiting", 3, None),
        ("A-004", "waiting", 4, None),
    ]
    for ticket in found["tickets"][1:]:
        guess = ticket["estimate"]
        assert 0 <= guess["low"] < guess["high"] and guess["low"] % 5 == guess["high"] % 5 == 0
        assert (guess["ahead"], guess["model"]) == (ticket["position"] - 1, "fluid-1")
        assert ticket["ticket"]["reference"].startswith("Task/")


def test_positions_of_all_tickets_are_a_permutation_and_the_same_as_in_the_queue(client: Client, place: Place) -> None:
    ids = [
        place.ticket(kind, minutes=60 - n) for n, kind in enumerate(["normal", "vip", "vip", "emergency", "normal"] * 4)
    ]
    places = {}
    for task in ids:
        answer = client.get(f"Task/{task}/$position")
        assert answer.status == 200, answer.text
        found = plain(answer.json)
        places[found["number"]] = found["position"]
    assert sorted(places.values()) == list(range(1, 21))
    assert places == {t["number"]: t["position"] for t in queue(client, place)["tickets"]}


def test_looking_changes_nothing(client: Client, place: Place) -> None:
    names = [f"Task/{place.ticket()}", f"HealthcareService/{place.id}"]
    before = [client.get(name).headers["ETag"] for name in names]
    for _ in range(3):
        queue(client, place)
        client.get(f"{names[0]}/$position")
    assert [client.get(name).headers["ETag"] for name in names] == before


def test_a_called_ticket_has_no_position_but_a_desk(client: Client, place: Place) -> None:
    task = place.ticket(minutes=5, state="called", called_at=clock.now(), desk="3")
    found = plain(client.get(f"Task/{task}/$position").json)
    assert (found["state"], found["desk"], "position" in found, "estimate" in found) == ("called", "3", False, False)


def test_the_public_message_is_shown_and_the_reason_is_not(tenant: TestTenant, client: Client) -> None:
    told = [{"url": "message", "valueString": "Back at ten"}, {"url": "reason", "valueString": "The doctor is ill"}]
    place = Place.new(tenant, client, state="paused", told=told)
    assert plain(client.get(f"HealthcareService/{place.id}/$queue").json)["message"] == "Back at ten"
    assert "ill" not in client.get(f"HealthcareService/{place.id}/$queue").text


# -- who sees what -----------------------------------------------------------------------------------------------------


def test_a_board_sees_numbers_and_no_task(tenant: TestTenant, place: Place) -> None:
    board = tenant.client("system/HealthcareService.r")
    patient = place.client.create({"resourceType": "Patient", "name": [{"family": "Secretname"}]})
    task = place.ticket(patient=patient["id"])
    answer = board.get(f"HealthcareService/{place.id}/$queue")
    assert answer.status == 200
    (shown,) = plain(answer.json)["tickets"]
    assert shown["number"] == "A-001" and "ticket" not in shown and "display" not in shown
    assert not any(word in answer.text for word in ("Task/", "Patient/", patient["id"], task, "Secretname"))
    assert board.get(f"Task/{task}/$position").status == 403


def test_a_patient_sees_which_ticket_is_his_own(tenant: TestTenant, client: Client, place: Place) -> None:
    mine, other = (client.create({"resourceType": "Patient"})["id"] for _ in range(2))
    theirs, own = place.ticket(patient=other, minutes=9), place.ticket(patient=mine, minutes=5)
    place.ticket(minutes=3)
    portal = tenant.client("patient/*.rs user/HealthcareService.rs system/HealthcareService.rs", patient=mine)
    found = queue(portal, place)
    assert [t.get("ticket") for t in found["tickets"]] == [None, {"reference": f"Task/{own}"}, None]
    assert plain(portal.get(f"Task/{own}/$position").json)["position"] == 2
    assert portal.get(f"Task/{theirs}/$position").status == 404


def test_another_tenants_queue_is_not_there(new_tenant: Any, place: Place) -> None:
    stranger = new_tenant().client()
    task = place.ticket()
    assert stranger.get(f"HealthcareService/{place.id}/$queue").status == 404
    assert stranger.get(f"Task/{task}/$position").status == 404


def test_what_is_no_queue_and_no_ticket(client: Client) -> None:
    service = client.create({"resourceType": "HealthcareService", "name": "Laboratory"})
    answer = client.get(f"HealthcareService/{service['id']}/$queue")
    assert (answer.status, answer.issues[0]["expression"]) == (422, ["HealthcareService.extension"])
    task = client.create({"resourceType": "Task", "status": "draft", "intent": "order"})
    answer = client.get(f"Task/{task['id']}/$position")
    assert (answer.status, answer.issues[0]["expression"]) == (422, ["Task.code"])
    assert client.get("HealthcareService/nowhere/$queue").status == 404
    assert client.get("Task/nowhere/$position").status == 404


def test_a_wrong_configuration_is_refused(client: Client, place: Place) -> None:
    stored = client.get(f"HealthcareService/{place.id}").json
    stored["extension"][0]["extension"].append({"url": "width", "valuePositiveInt": 99})
    answer = client.put(f"HealthcareService/{place.id}", stored)
    assert answer.status == 422
    assert answer.issues[0]["expression"][0].startswith("HealthcareService.extension[0].extension[")


# -- boards ------------------------------------------------------------------------------------------------------------

LABELS = [
    ("Fatima", "El Amrani", "+212 661-23 45 42", "F. E. 42"),
    ("فَاطِمَة", "العمراني", "+212661234542", "فَ. ا. 42"),
    ("Awa", None, None, "A."),
    (None, "Diop", "+221771234501", "D. 01"),
]


@pytest.mark.parametrize(("given", "family", "phone", "shown"), LABELS)
def test_initials_and_digits(given: str | None, family: str | None, phone: str | None, shown: str) -> None:
    name = {"given": [given] if given else [], **({"family": family} if family else {})}
    telecom = [{"system": "email", "value": "a@b.example"}, *([{"system": "phone", "value": phone}] if phone else [])]
    assert label({"name": [name], "telecom": telecom}, digits=True) == shown


def test_a_queue_that_shows_initials(tenant: TestTenant, client: Client) -> None:
    place = Place.new(tenant, client, {"url": "display", "valueCode": "initials-digits"})
    telecom = [{"system": "phone", "value": "+221 77 123 45 67"}]
    patient = client.create(
        {"resourceType": "Patient", "name": [{"given": ["Awa"], "family": "Diop"}], "telecom": telecom}
    )
    place.ticket(patient=patient["id"])
    place.ticket()
    board = tenant.client("system/HealthcareService.r")
    assert [t.get("display") for t in queue_of(board, place)] == ["A. D. 67", None]
    assert "Diop" not in board.get(f"HealthcareService/{place.id}/$queue").text


@pytest.mark.parametrize(("system", "code", "shown"), [
    ("Confidentiality", "R", False), ("Confidentiality", "V", False), ("Confidentiality", "N", True),
    ("ActCode", "HIV", False),
])  # fmt: skip
def test_a_board_shows_the_number_only_of_who_is_labelled(
    tenant: TestTenant, client: Client, system: str, code: str, shown: bool
) -> None:
    place = Place.new(tenant, client, {"url": "display", "valueCode": "initials"})
    label_ = {"system": f"http://terminology.hl7.org/CodeSystem/v3-{system}", "code": code}
    name = {"given": ["Awa"], "family": "Diop"}
    patient = client.create({"resourceType": "Patient", "name": [name], "meta": {"security": [label_]}})
    place.ticket(patient=patient["id"])
    for reader in (tenant.client("system/HealthcareService.r"), client):
        assert [t.get("display") for t in queue_of(reader, place)] == (["A. D."] if shown else [None])


def queue_of(client: Client, place: Place) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = plain(client.get(f"HealthcareService/{place.id}/$queue").json)["tickets"]
    return shown
