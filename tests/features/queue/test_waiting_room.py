"""What a board is shown: the queues of its place and the latest calls, and nothing else."""

import pytest

from fhir_server.features.queue import snapshot
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, number
from tests.features.queue.waiting import Room, signed_in


@pytest.fixture
def room(tenant: TestTenant, client: Client) -> Room:
    return Room(tenant, client)


def test_queues_of_the_place_and_the_calls_in_order(room: Room) -> None:
    seen = room.look()
    assert (seen["place"], seen["name"], seen["languages"]) == ("Maârif", "The board", ["fr", "ar", "en"])
    assert (seen["sound"], seen["speech"], seen["calls"]) == (True, False, [])
    queue = seen["queues"][0]
    assert (queue["state"], queue["waiting"], queue["gives"]) == ("open", 0, True)
    assert 0 <= queue["estimate"]["low"] < queue["estimate"]["high"]
    first, second = (room.counter.take() for _ in range(2))
    room.counter.take()
    for desk in ("Cabinet 1", "Cabinet 2"):
        room.counter.call(desk=desk)
    seen = room.look()
    assert [(c["number"], c["desk"], c["state"], c["times"]) for c in seen["calls"]] == [
        (number(second), "Cabinet 2", "called", 1), (number(first), "Cabinet 1", "called", 1),
    ]  # fmt: skip
    assert seen["queues"][0]["waiting"] == 1


def test_who_is_called_again_and_who_did_not_come(room: Room) -> None:
    room.counter.take()
    called = room.counter.call(desk="1")
    room.counter.do(called, "recall")
    assert [c["times"] for c in room.look()["calls"]] == [2]
    room.counter.do(called, "absent")
    assert room.look()["calls"] == []
    room.counter.do(called, "return")
    assert room.look()["calls"] == [] and room.look()["queues"][0]["waiting"] == 1


def test_who_was_served_stays_for_a_while_and_eight_are_told(room: Room) -> None:
    for _ in range(10):
        room.counter.take()
        called = room.counter.call(desk="1")
        room.counter.do(called, "start")
        room.counter.do(called, "finish")
    seen = room.look()["calls"]
    assert [c["state"] for c in seen] == ["served"] * 8 and seen[0]["number"] == number(called)


def test_a_stamp_changes_with_what_is_shown_and_only_then(room: Room) -> None:
    with later(minutes=0):
        stamp = room.look()["stamp"]
        again = room.look(stamp)
    # The half minute may have ended between the two.
    assert again["queues"] == [] or again["stamp"] != stamp
    changes = [
        lambda: room.counter.take(),
        lambda: room.counter.call(desk="2"),
        lambda: room.counter.queue("pause", message="Retour à 14 h"),
        lambda: room.staff.patch(f"Device/{room.board_id}", b'[{"op": "add", "path": "/note", "value": [{"text": "x"}]}]', content_type="application/json-patch+json"),
    ]
    for change in changes:
        stamp = room.look()["stamp"]
        change()
        seen = room.look(stamp)
        assert seen["stamp"] != stamp and len(seen["queues"]) == 1
    assert seen["queues"][0]["message"] == "Retour à 14 h"
    with later(seconds=31):
        assert room.look(seen["stamp"])["queues"]


def test_closed_and_paused_queues_promise_nothing(room: Room) -> None:
    room.counter.queue("pause")
    assert "estimate" not in room.look()["queues"][0]
    room.counter.queue("close")
    closed = room.look()["queues"][0]
    assert (closed["state"], closed["gives"], "estimate" in closed) == ("closed", False, False)


def test_rooms_of_the_site_count_and_other_sites_do_not(room: Room) -> None:
    inside = room.staff.create({"resourceType": "Location", "partOf": {"reference": room.site}})
    outside = room.staff.create({"resourceType": "Location", "name": "Anfa"})
    within = Counter(room.staff, room.tenant.id, more={"location": [{"reference": f"Location/{inside['id']}"}]})
    away = Counter(room.staff, room.tenant.id, more={"location": [{"reference": f"Location/{outside['id']}"}]})
    seen = {q["queue"]["reference"].partition("/")[2] for q in room.look()["queues"]}
    assert seen == {room.counter.id, within.id} and away.id not in seen


def test_a_device_names_its_queues_in_order(room: Room) -> None:
    second = Counter(room.staff, room.tenant.id, more={"location": [{"reference": room.site}], "name": "Aaa"})
    queues = [{"valueReference": {"reference": f"HealthcareService/{each.id}"}} for each in (room.counter, second)]
    room.board_id, room.board = signed_in(
        room.tenant, room.staff, "board", room.site, queue=queues, language=[{"valueCode": "ar"}],
        sound=[{"valueBoolean": False}], speech=[{"valueBoolean": True}],
    )  # fmt: skip
    seen = room.look()
    assert [q["queue"]["reference"].partition("/")[2] for q in seen["queues"]] == [room.counter.id, second.id]
    assert (seen["languages"], seen["sound"], seen["speech"]) == (["ar"], False, True)


def test_a_device_that_is_moved_shows_the_other_place(room: Room) -> None:
    moved = room.staff.create({"resourceType": "Location", "name": "Anfa"})
    stored = room.staff.get(f"Device/{room.board_id}").json
    room.staff.put(f"Device/{room.board_id}", {**stored, "location": {"reference": f"Location/{moved['id']}"}})
    seen = room.look()
    assert (seen["place"], seen["queues"]) == ("Anfa", [])


def test_initials_only_where_the_queue_says_so_and_never_of_who_is_protected(room: Room) -> None:
    stored = room.staff.get(f"HealthcareService/{room.counter.id}").json
    rules = next(e for e in stored["extension"] if e["url"].endswith("queue-configuration"))
    rules["extension"].append({"url": "display", "valueCode": "initials-digits"})
    assert room.staff.put(f"HealthcareService/{room.counter.id}", stored).status == 200
    named = room.patient("+212612345642", name=[{"given": ["عُمر"], "family": "Benali"}])
    hidden = room.patient("+212612345643", meta={"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]})
    for who in (named, hidden):
        room.counter.take(patient=who)
        room.counter.call(desk="1")
    assert [c.get("display") for c in room.look()["calls"]] == [None, "عُ. B. 42"]


@pytest.mark.parametrize(("given", "family", "shown"), [
    (["عُمر"], "الإدريسي", "عُ. ا."), (["أميرة"], "", "أ."), (["Émile"], "Zola", "É. Z."), ([], "", ""),
])  # fmt: skip
def test_initials_are_whole_letters(given: list[str], family: str, shown: str) -> None:
    assert snapshot.label({"name": [{"given": given, "family": family}]}, digits=False) == shown


def test_a_look_is_noted_once_not_every_second(room: Room) -> None:
    def noted() -> int:
        return len(room.staff.search("AuditEvent?subtype=operation&_count=500"))

    stamp = room.look()["stamp"]
    before = noted()
    for _ in range(5):
        stamp = room.look(stamp)["stamp"]
    assert noted() == before
    room.look()
    assert noted() == before + 1


def test_staff_may_look_and_others_may_not(room: Room) -> None:
    path = f"Device/{room.board_id}/$waiting-room"
    assert room.staff.get(path).status == 200
    patient = room.tenant.client("patient/*.rs", patient=room.counter.patient().partition("/")[2])
    assert patient.get(path).status == 403
    assert room.tenant.client("system/Device.rs").get(path).status == 403
    assert room.kiosk.get(f"Device/{room.kiosk_id}/$waiting-room").status == 200


def test_a_device_without_a_place_shows_nothing(room: Room) -> None:
    stored = room.staff.get(f"Device/{room.board_id}").json
    stored.pop("location")
    room.staff.put(f"Device/{room.board_id}", stored)
    assert room.look()["queues"] == []


def test_a_device_out_of_use_sees_nothing(room: Room) -> None:
    stored = room.staff.get(f"Device/{room.board_id}").json
    room.staff.put(f"Device/{room.board_id}", {**stored, "status": "inactive"})
    assert room.board.get(f"Device/{room.board_id}/$waiting-room").status == 403
    room.staff.delete(f"Device/{room.board_id}")
    assert room.board.get(f"Device/{room.board_id}/$waiting-room").status == 404


def test_yesterdays_calls_are_gone(room: Room) -> None:
    room.counter.take()
    called = room.counter.call(desk="1")
    room.counter.do(called, "start")
    room.counter.do(called, "finish")
    with later(days=1):
        assert room.look()["calls"] == []
