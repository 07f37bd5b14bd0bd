"""Bookings under a storm, with connections that break, and what one costs."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.supervisor import layout, postgres
from tests.client import Client
from tests.features.scheduling.agendas import check_nothing_overlaps
from tests.features.scheduling.clinic_day import (
    Practice,
    all_matched,
    body,
    given,
    in_days,
    iso,
)
from tests.reliability.wire import Heard, together
from tests.rest.bodies import bundle, entry

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Ask = Callable[..., Heard]
EMPTY = {"resourceType": "Parameters"}


def test_a_storm_over_fifty_agendas(tenant: "TestTenant", client: Client, asks: Callable[[int], list[Ask]]) -> None:
    practices = [Practice(client, schedules=10) for _ in range(5)]
    who = [practices[0].patient() for _ in range(60)]
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def one(ask: Ask, seed: int) -> None:
        mine, booked = random.Random(seed), []
        heard: Counter[int] = Counter()
        for _ in range(30):
            practice = mine.choice(practices)
            start = in_days(12, 8) + timedelta(minutes=15 * mine.randrange(8))
            resource = practice.appointment(
                mine.choice(who), start, mine.randrange(10), minutes=mine.choice((15, 30, 45))
            )
            act = mine.randrange(7)
            if act < 3 or not booked:
                answer = ask("POST", "Appointment/$book", given(resource))
                booked += [each["id"] for each in all_matched(answer)] if answer.status == 200 else []
            elif act == 3:
                answer = ask("POST", "Appointment", {**resource, "status": "booked"})
                booked += [answer.json["id"]] if answer.status == 201 else []
            elif act == 4:
                answer = ask(
                    "POST", "", bundle("transaction", entry("POST", "Appointment", {**resource, "status": "booked"}))
                )
            elif act == 5:
                answer = ask("POST", f"Appointment/{booked.pop(mine.randrange(len(booked)))}/$cancel", EMPTY)
            else:
                answer = ask("POST", f"Appointment/{mine.choice(booked)}/$reschedule", body(start=iso(start)))
            heard[answer.status] += 1
        with lock:
            statuses.update(heard)

    together([lambda ask=ask, n=n: one(ask, n) for n, ask in enumerate(asks(24))], 600)
    assert set(statuses) <= {200, 201, 409}, statuses
    assert statuses[200] > 50 and statuses[409] > 50, statuses
    assert check_nothing_overlaps(tenant, client, practices) > 50
    # What was cancelled holds nothing: the whole morning can be booked again once everything is cancelled.
    some = practices[0]
    for each in client.search(f"Appointment?actor={some.practitioner[0]}&status=booked&_count=200"):
        assert client.post(f"Appointment/{each['id']}/$cancel", EMPTY).status == 200
    for n in range(8):
        some.booked(some.patient(), in_days(12, 8) + timedelta(minutes=30 * n))


def test_connections_cut_in_the_middle_leave_nothing_half_done(tenant: "TestTenant", client: Client) -> None:
    practice = Practice(client, schedules=4)
    who = [practice.patient() for _ in range(30)]
    backends: set[int] = set()
    acknowledged: list[str] = []
    statuses: Counter[int] = Counter()
    done = threading.Event()

    def book(seed: int) -> None:
        mine = random.Random(seed)
        while not done.is_set():
            connection = session()._pg
            backends.update({connection.backend_pid} if connection is not None else ())
            start = in_days(15, 6) + timedelta(minutes=15 * mine.randrange(60))
            answer = practice.book(mine.choice(who), start, mine.randrange(4), minutes=mine.choice((15, 30)))
            statuses[answer.status] += 1
            acknowledged.extend(each["id"] for each in all_matched(answer)) if answer.status == 200 else None
            if statuses[503] > 20 and len(acknowledged) > 40:
                done.set()

    def cut() -> None:
        mine = random.Random(1)
        with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as db:
            while not done.wait(0.02):
                if backends:
                    db.execute("SELECT pg_terminate_backend(%s)", (mine.choice(sorted(backends)),))

    together([*(lambda n=n: book(n) for n in range(6)), cut], 600)
    assert set(statuses) <= {200, 409, 503}, statuses
    assert statuses[503] > 5 and len(acknowledged) > 20, statuses
    assert check_nothing_overlaps(tenant, client, [practice]) >= len(acknowledged)
    for id_ in acknowledged:
        found = client.get(f"Appointment/{id_}").json
        assert found["status"] == "booked"
        assert [client.get(each["reference"]).json["status"] for each in found["slot"]] == ["busy"]
    stored = client.search(f"Slot?schedule={','.join(practice.schedule)}&_count=500")
    visits = [client.search(f"Appointment?slot=Slot/{slot['id']}") for slot in stored]
    assert all(len(each) == 1 for each in visits), "a Slot without its Appointment"


def _timed(ask: Ask, path: str, sent: Any) -> float:
    begin = time.perf_counter()
    answer = ask("POST", path, sent)
    found = time.perf_counter() - begin
    assert answer.status in (200, 201), answer.body
    return found


def _pair(ask: Ask, practice: Practice, who: list[str], days: Iterator[datetime]) -> tuple[float, float]:
    """p95 of plain creates and of bookings, taken in turns so that both meet the same weather; the first ones do not
    count."""
    creates, books = [], []
    for n in range(220):
        create = {**practice.appointment(who[n % 20], next(days)), "status": "booked"}
        creates.append(_timed(ask, "Appointment", create))
        books.append(_timed(ask, "Appointment/$book", given(practice.appointment(who[n % 20], next(days)))))
    p95 = [sorted(times[20:])[189] for times in (creates, books)]
    p50 = [sorted(times[20:])[100] for times in (creates, books)]
    p95_ms, p50_ms = ([round(1000 * each, 1) for each in both] for both in (p95, p50))
    print(f"create, $book: p95 {p95_ms} ms; p50 {p50_ms} ms")
    return p95[0], p95[1]


def test_a_booking_costs_no_more_than_three_plain_creates(
    client: Client, asks: Callable[[int], list[Ask]], record_property: Callable[[str, object], None]
) -> None:
    (ask,) = asks(1)
    days = (in_days(30 + n // 20, 6) + timedelta(minutes=45 * (n % 20)) for n in itertools.count())
    ratios = []
    # The best of eight: what the machine does besides meets a few in a hundred, which p95 is about.
    for _ in range(8):
        practice = Practice(client)
        who = [practice.patient() for _ in range(20)]
        plain, booking = _pair(ask, practice, who, days)
        ratios.append(booking / plain)
        if ratios[-1] <= 3:
            break
    record_property("book_over_create", [round(each, 2) for each in ratios])
    assert min(ratios) <= 3, ratios
