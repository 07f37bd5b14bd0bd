"""Slots that a plain write leaves behind are cleared, and only those; visits move where a zone's rules changed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.cli.calendar import calendar as command
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import Practice, in_days, iso, slots_of
from tests.features.scheduling.worker import catch_up

Json = dict[str, Any]
E = "urn:salam:StructureDefinition:"


@pytest.fixture
def home(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    tenant = new_tenant()
    catch_up(tenant.slug)
    return tenant


@pytest.fixture
def staff(home: TestTenant) -> Client:
    return home.client()


@pytest.fixture
def practice(staff: Client) -> Practice:
    return Practice(staff, {"bufferAfter": 10})


def slots(staff: Client) -> list[str]:
    return [slot["id"] for slot in staff.search("Slot")]


def test_a_plain_cancellation_takes_its_slots_along(staff: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    other = practice.booked(practice.patient(), in_days(hour=11))
    assert len(slots(staff)) == 4
    assert staff.put(f"Appointment/{visit['id']}", visit | {"status": "cancelled"}).status == 200
    catch_up(staff.slug)
    assert sorted(slots(staff)) == sorted(slot["id"] for slot in slots_of(staff, other))


def test_so_does_a_deletion(staff: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    assert staff.delete(f"Appointment/{visit['id']}").status == 204
    catch_up(staff.slug)
    assert slots(staff) == []


def test_a_slot_that_another_visit_needs_stays(staff: Client, practice: Practice) -> None:
    staff.put(practice.schedule[0], staff.get(practice.schedule[0]).json)
    start = in_days()
    slot = staff.create(
        {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": "busy",
            "start": iso(start),
            "end": iso(start + timedelta(minutes=30)),
        }
    )
    reference = [{"reference": f"Slot/{slot['id']}"}]
    first = staff.create(practice.appointment(practice.patient(), start, status="booked", slot=reference))
    waiting = practice.appointment(practice.patient(), start, status="proposed", slot=reference)
    assert staff.create(waiting)
    assert staff.put(f"Appointment/{first['id']}", first | {"status": "noshow"}).status == 200
    second = staff.create(practice.appointment(practice.patient(), start, status="booked", slot=reference))
    catch_up(staff.slug)
    assert slots(staff) == [slot["id"]]
    assert staff.put(f"Appointment/{second['id']}", second | {"status": "cancelled"}).status == 200
    catch_up(staff.slug)
    assert slots(staff) == []


def test_slots_of_what_never_took_time_and_free_ones_stay(staff: Client, practice: Practice) -> None:
    start = in_days()
    free = staff.create(
        {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": "free",
            "start": iso(start),
            "end": iso(start + timedelta(minutes=30)),
        }
    )
    reference = [{"reference": f"Slot/{free['id']}"}]
    asked = staff.create(practice.appointment(practice.patient(), start, status="proposed", slot=reference))
    booked = staff.create(practice.appointment(practice.patient(), start, status="booked", slot=reference))
    for each in (asked, booked):
        assert staff.put(f"Appointment/{each['id']}", each | {"status": "cancelled"}).status == 200
    catch_up(staff.slug)
    assert slots(staff) == [free["id"]]


def test_a_proposal_takes_no_busy_slot_along(staff: Client, practice: Practice) -> None:
    start = in_days()
    busy = staff.create(
        {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": "busy",
            "start": iso(start),
            "end": iso(start + timedelta(minutes=30)),
        }
    )
    slot = [{"reference": f"Slot/{busy['id']}"}]
    asked = staff.create(practice.appointment(practice.patient(), start, status="proposed", slot=slot))
    assert staff.put(f"Appointment/{asked['id']}", asked | {"status": "cancelled"}).status == 200
    catch_up(staff.slug)
    assert slots(staff) == [busy["id"]]


def test_what_operations_did_is_left_alone(staff: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    assert staff.post(f"Appointment/{visit['id']}/$cancel", None).status == 200
    moved = practice.booked(practice.patient(), in_days())
    start = {"name": "start", "valueDateTime": iso(in_days(hour=12))}
    body = {"resourceType": "Parameters", "parameter": [start]}
    assert staff.post(f"Appointment/{moved['id']}/$reschedule", body).status == 200
    catch_up(staff.slug)
    assert len(slots(staff)) == 2


def test_a_plain_move_takes_the_agreed_time_along(staff: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    assert len(slots(staff)) == 2
    later = in_days(hour=13)
    times = {"start": iso(later), "end": iso(later + timedelta(minutes=30))}
    moved = {name: value for name, value in (visit | times).items() if name != "slot"}
    assert staff.put(f"Appointment/{visit['id']}", moved).status == 200
    catch_up(staff.slug)
    assert slots(staff) == [], "the Slots of the old time are gone, the buffer's too"
    assert practice.book(practice.patient(), in_days()).status == 200
    assert practice.book(practice.patient(), later).status == 409
    stored = staff.get(f"Appointment/{visit['id']}").json
    assert wall_of(stored) == later.strftime("%Y-%m-%dT%H:%M")
    again = in_days(hour=15)
    times = {"start": iso(again), "end": iso(again + timedelta(minutes=30))}
    assert staff.put(f"Appointment/{visit['id']}", stored | times).status == 200
    catch_up(staff.slug)
    assert wall_of(staff.get(f"Appointment/{visit['id']}").json) == again.strftime("%Y-%m-%dT%H:%M")


def wall_of(visit: Json) -> str:
    parts = next(each["extension"] for each in visit["extension"] if each["url"] == f"{E}wall-time")
    return next(str(part["valueString"]) for part in parts if part["url"] == "start")


def test_a_visit_that_is_sent_with_other_slots(staff: Client, practice: Practice) -> None:
    visit = practice.booked(practice.patient(), in_days())
    later = in_days(hour=13)
    times = {"start": iso(later), "end": iso(later + timedelta(minutes=30))}
    new = "urn:uuid:4a7b3f3c-2f1e-4a55-9d0c-0d3f5a4a1b2c"
    slot = {"resourceType": "Slot", "schedule": {"reference": practice.schedule[0]}, "status": "busy", **times}
    moved = visit | times | {"slot": [{"reference": new}]}
    entries = [
        {"fullUrl": new, "resource": slot, "request": {"method": "POST", "url": "Slot"}},
        {"resource": moved, "request": {"method": "PUT", "url": f"Appointment/{visit['id']}"}},
    ]
    assert staff.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    catch_up(staff.slug)
    assert [each["start"] for each in staff.search("Slot")] == [iso(later)]
    assert practice.book(practice.patient(), in_days()).status == 200


def test_a_block_that_a_visit_names_stays(staff: Client, practice: Practice) -> None:
    """What a visit names is not its own when it blocks time by itself."""
    start = in_days()
    visit = practice.booked(practice.patient(), in_days(hour=11))
    block = staff.create(
        {
            "resourceType": "Slot",
            "schedule": {"reference": practice.schedule[0]},
            "status": "busy-unavailable",
            "start": iso(start),
            "end": iso(start + timedelta(minutes=30)),
        }
    )
    named = [*visit["slot"], {"reference": f"Slot/{block['id']}"}]
    op = [{"op": "replace", "path": "/slot", "value": named}]
    answer = staff.patch(f"Appointment/{visit['id']}", op, content_type="application/json-patch+json")
    assert answer.status == 409
    assert staff.put(f"Appointment/{visit['id']}", visit | {"status": "cancelled", "slot": named}).status == 200
    catch_up(staff.slug)
    assert slots(staff) == [block["id"]]


# -- zones that change their rules ------------------------------------------------------------------------------------


def check(staff: Client, monkeypatch: pytest.MonkeyPatch, *more: str) -> list[Json]:
    import json
    from contextlib import nullcontext

    from click.testing import CliRunner

    monkeypatch.setattr("fhir_server.cli.calendar.database", nullcontext)
    arguments = ["check-times", "--tenant", staff.slug, "--json", *more]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: list[Json] = json.loads(result.output)
    return found


def agreed(staff: Client, visit: Json, wall: str, zone: str = "Africa/Casablanca") -> Json:
    """Say what was agreed by the clock, as it was before the zone changed its rules."""
    parts = [{"url": "start", "valueString": wall}, {"url": "timezone", "valueCode": zone}]
    kept = [each for each in visit.get("extension", ()) if each["url"] != f"{E}wall-time"]
    changed = visit | {"extension": [*kept, {"url": f"{E}wall-time", "extension": parts}]}
    answer = staff.put(f"Appointment/{visit['id']}", changed)
    assert answer.status == 200, answer.text
    stored: Json = answer.json
    return stored


def wall(start: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return start.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")


def test_visits_are_listed_and_moved_side_by_side(
    staff: Client, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = "Europe/Paris"
    start = in_days(hour=9)
    visits = [practice.booked(practice.patient(), start + timedelta(minutes=60 * n)) for n in range(3)]
    right = practice.booked(practice.patient(), start + timedelta(hours=6))
    # They were agreed an hour later than they stand: each has to move to where the next one is now.
    for visit, n in zip(visits, range(3), strict=True):
        agreed(staff, visit, wall(start + timedelta(minutes=60 * (n + 1)), zone), zone)
    agreed(staff, right, wall(start + timedelta(hours=6), zone), zone)
    listed = check(staff, monkeypatch)
    assert {each["appointment"] for each in listed} == {visit["id"] for visit in visits}
    assert {each["result"] for each in listed} == {""}
    assert staff.get(f"Appointment/{visits[0]['id']}").json["start"] == visits[0]["start"], "only listed so far"
    applied = check(staff, monkeypatch, "--apply")
    assert {each["result"] for each in applied} == {"moved"}
    for visit, n in zip(visits, range(3), strict=True):
        stored = staff.get(f"Appointment/{visit['id']}").json
        wanted = start + timedelta(minutes=60 * (n + 1))
        assert datetime.fromisoformat(stored["start"]).astimezone(UTC) == wanted
        first, second = slots_of(staff, stored)
        assert datetime.fromisoformat(first["start"]).astimezone(UTC) == wanted
        assert datetime.fromisoformat(second["start"]).astimezone(UTC) == wanted + timedelta(minutes=30)
    assert check(staff, monkeypatch) == []
    assert len(slots(staff)) == 8


def test_a_time_that_somebody_else_has_is_reported(
    staff: Client, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = in_days(hour=9)
    visit, other = (
        practice.booked(practice.patient(), start),
        practice.booked(practice.patient(), start + timedelta(hours=1)),
    )
    agreed(staff, visit, wall(start + timedelta(hours=1), "UTC"), "UTC")
    (found,) = check(staff, monkeypatch, "--apply")
    assert (found["appointment"], found["result"]) == (visit["id"], "slot-taken")
    assert staff.get(f"Appointment/{visit['id']}").json["start"] == visit["start"]
    assert staff.get(f"Appointment/{other['id']}").json["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("text", "zone"), [("tomorrow", "UTC"), ("2026-13-01T09:00", "UTC"), ("2030-01-01T09:00", "Mars/Phobos")]
)
def test_what_cannot_be_read_is_left_alone(
    staff: Client, practice: Practice, monkeypatch: pytest.MonkeyPatch, text: str, zone: str
) -> None:
    visit = practice.booked(practice.patient(), in_days())
    agreed(staff, visit, text, zone)
    assert check(staff, monkeypatch, "--apply") == []


def test_both_hours_of_a_doubled_one_are_right() -> None:
    from fhir_server.features.scheduling.moved_times import _compared

    def visit(start: str) -> Json:
        parts = [{"url": "start", "valueString": "2026-10-25T02:30"}, {"url": "timezone", "valueCode": "Europe/Paris"}]
        return {"id": "a", "start": start, "extension": [{"url": f"{E}wall-time", "extension": parts}]}

    assert _compared(visit("2026-10-25T00:30:00Z")) is None
    assert _compared(visit("2026-10-25T01:30:00Z")) is None
    found = _compared(visit("2026-10-25T02:30:00Z"))
    assert found is not None
    assert found.agreed == "2026-10-25T00:30:00Z"
