"""The report of a simulation: it finds what is broken, and says how it went."""

import threading
from typing import Any

import pytest

from fhir_server.simulation.plan import Person
from fhir_server.simulation.record import Record, Seen
from fhir_server.simulation.report import INVARIANTS, broken, numbers, report, text


def task(number: int, state: str = "served", system: str = "urn:q:2026-11-21", **more: Any) -> dict[str, Any]:
    low, middle, high = more.get("estimate", (0, 5, 10))
    parts = [
        {"url": "low", "valueUnsignedInt": low},
        {"url": "median", "valueUnsignedInt": middle},
        {"url": "high", "valueUnsignedInt": high},
    ]
    return {
        "id": f"t{number}",
        "identifier": [{"system": system, "value": f"S-{number:03}"}],
        "businessStatus": {"coding": [{"system": "urn:salam:CodeSystem:ticket-state", "code": state}]},
        "extension": [{"url": "urn:salam:StructureDefinition:wait-estimate", "extension": parts}],
    }


def person(number: int, kind: str = "normal") -> Person:
    return Person(number, kind, 10.0, 12.0)


def made(record: Record, tasks: list[dict[str, Any]], lost: int = 0) -> dict[str, Any]:
    heard = {"by": "stream", "told": 9, "of the day": 9, "resets": 0, "interruptions": 0}
    return report(record, tasks, speed=60, lost=lost, heard=heard, seconds=[0.01, 0.02, 0.03], refused={})


def test_a_good_day() -> None:
    record, tasks = Record(), [task(n) for n in range(4, 9)]
    for each in tasks:
        seen = record.took(each, person(1), 0.0)
        assert record.was_called(seen.id, 20.0) is seen
    found = made(record, tasks)
    assert broken(found) == [] and found["served"] == 5
    assert found["waits"]["all"] == {"n": 5, "median": 20.0, "p90": 20.0}
    # 5 minutes of the server's at 60 are 300 of the day.
    assert found["estimates"] == {"n": 5, "mae": 280.0, "within_range": 1.0}
    assert "Everything held" in text(found) and "compressed" in text(found)


BROKEN = [
    ("gaps_in_numbers", [task(1), task(3)], 0),
    ("numbers_given_twice", [task(1), task(2), task(2)], 0),
    ("lost_events", [task(1)], 1),
    ("tickets_without_end", [task(1, "waiting")], 0),
]


@pytest.mark.parametrize(("which", "tasks", "lost"), BROKEN)
def test_each_invariant_is_found_broken(which: str, tasks: list[dict[str, Any]], lost: int) -> None:
    found = made(Record(), tasks, lost)
    assert broken(found) == [which]
    assert f"BROKEN: {which}" in text(found)


def test_errors_break_a_day() -> None:
    record = Record()
    record.error("POST /x: 500")
    assert broken(made(record, [])) == ["errors"] and "POST /x: 500" in text(made(record, []))
    assert set(INVARIANTS) >= {name for name, _, _ in BROKEN}


def test_numbers_are_those_of_each_queue_and_day() -> None:
    assert numbers([task(1), task(2), task(1, system="urn:other"), task(7, system="urn:third")]) == (0, 0)


def test_a_double_call_is_one_unless_the_ticket_waits_again() -> None:
    record = Record()
    seen = record.took(task(1), person(1), 0.0)
    record.was_called(seen.id, 5.0)
    record.came_back(seen)
    record.was_called(seen.id, 9.0)
    assert record.double_calls == [] and seen.called == 5.0
    record.was_called(seen.id, 10.0)
    assert record.double_calls == [seen.id]
    assert record.was_called("of somebody else", 1.0) is None


def test_double_calls_are_found_among_threads() -> None:
    record = Record()
    seen: Seen = record.took(task(1), person(1), 0.0)
    threads = [threading.Thread(target=record.was_called, args=(seen.id, 1.0)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(record.double_calls) == 7
