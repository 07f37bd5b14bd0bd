"""Who is called next: named cases, then what holds for every queue."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.features.queue import policy
from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.storage.tickets import Ticket
from tests.features.queue.made import at, ticket

PLAIN = QueueConfig()
PAID = QueueConfig(kinds=("normal", "appointment", "vip", "express", "emergency"), paid_every=3, starvation_bound=3)


def numbers(tickets: list[Ticket]) -> list[int]:
    return [t.number for t in tickets]


# -- entry -------------------------------------------------------------------------------------------------------------

DUE = [
    ("comes early and waits for the hour", "appointment", 60, 20, 60),
    ("comes in time", "appointment", 60, 60, 60),
    ("a little late keeps the hour", "appointment", 60, 70, 60),
    ("too late is due when he came", "appointment", 60, 71, 71),
    ("an appointment without an hour", "appointment", None, 30, 30),
    ("walk-ins are due when they came", "normal", 60, 30, 30),
    ("paid kinds too", "vip", 60, 30, 30),
]


@pytest.mark.parametrize(("what", "kind", "appointed", "arrived", "due"), DUE)
def test_due(what: str, kind: str, appointed: int | None, arrived: int, due: int) -> None:
    hour = None if appointed is None else at(appointed)
    assert policy.entry(kind, None, hour, at(arrived), QueueConfig(late_tolerance=10)) == (4, at(due)), what


def test_clinical_rank() -> None:
    ranks = [policy.entry("normal", p, None, at(0), PLAIN)[0] for p in ("stat", "asap", "urgent", "routine", None)]
    assert ranks == [1, 2, 3, 4, 4]
    assert policy.entry("emergency", "routine", None, at(0), PLAIN)[0] == 0
    assert policy.entry("vip", None, None, at(0), PAID)[0] == 4


# -- named orders ------------------------------------------------------------------------------------------------------


def test_an_early_appointment_does_not_jump_and_a_late_one_keeps_no_privilege() -> None:
    early = ticket(1, "appointment", 10, appointed=60)
    walk_in = ticket(2, "normal", 50)
    late = ticket(3, "appointment", 75, appointed=30)
    later = ticket(4, "normal", 70)
    assert numbers(policy.order([early, walk_in, late, later], PLAIN)) == [2, 1, 4, 3]


def test_an_emergency_is_before_all_and_urgent_before_routine() -> None:
    queue = [ticket(1), ticket(2, "vip"), ticket(3, priority="urgent"), ticket(4, "emergency"), ticket(5, "emergency")]
    assert numbers(policy.order(queue, PAID, since_paid=2)) == [4, 5, 3, 2, 1]


def test_every_third_call_may_be_paid() -> None:
    queue = [*(ticket(n) for n in range(1, 8)), ticket(8, "vip"), ticket(9, "express")]
    assert numbers(policy.order(queue, PAID)) == [1, 2, 8, 3, 4, 9, 5, 6, 7]
    assert numbers(policy.order(queue, PAID, since_paid=2)) == [8, 1, 2, 9, 3, 4, 5, 6, 7]


def test_nobody_is_passed_more_often_than_the_bound() -> None:
    config = replace(PAID, paid_every=1, starvation_bound=2)
    queue = [ticket(1), ticket(2), *(ticket(n, "vip") for n in range(3, 8))]
    assert numbers(policy.order(queue, config)) == [3, 4, 1, 2, 5, 6, 7]


def test_a_paid_ticket_that_is_due_first_waits_for_nobody() -> None:
    assert numbers(policy.order([ticket(1, "vip"), ticket(2)], PAID)) == [1, 2]


def test_paid_kinds_mean_nothing_where_the_queue_does_not_name_them() -> None:
    queue = [ticket(1), ticket(2), ticket(3), ticket(4, "vip")]
    assert numbers(policy.order(queue, PLAIN, since_paid=5)) == [1, 2, 3, 4]
    assert policy.passed_over(queue[3], queue, PLAIN) == []


def test_only_waiting_tickets_are_in_the_order() -> None:
    states = ["called", "serving", "served", "cancelled", "expired", "no-show", "transferred"]
    assert policy.order([replace(ticket(n), state=s) for n, s in enumerate(states, 1)], PLAIN) == []
    assert policy.next_ticket([], PLAIN) is None


def test_a_desk_for_some_kinds_gets_the_first_of_them() -> None:
    queue = [ticket(1), ticket(2, "appointment", appointed=2), ticket(3)]
    found = policy.next_ticket(queue, PLAIN, kinds={"appointment"})
    assert found is not None and found.number == 2
    assert policy.next_ticket(queue, PLAIN, kinds={"vip"}) is None


def test_who_is_passed() -> None:
    queue = [
        ticket(1),
        ticket(2, "emergency"),
        ticket(3, priority="urgent"),
        ticket(4, "express"),
        ticket(5),
        ticket(6, "vip"),
        ticket(7),
    ]
    assert policy.passed_over(queue[5], queue, PAID) == [1001, 1005]
    assert policy.passed_over(queue[4], queue, PAID) == []


# -- late return -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [0, 1, 3, 5])
def test_a_late_return_stands_behind_so_many(places: int) -> None:
    queue = [ticket(n) for n in range(2, 9)]
    back = replace(ticket(1), state="called")
    due, place = policy.place_behind(back, queue, places, PLAIN)
    ordered = numbers(policy.order([*queue, replace(back, state="waiting", due=due, place=place)], PLAIN))
    assert ordered.index(1) == places


def test_a_late_return_to_a_short_queue_stands_at_its_end() -> None:
    back = replace(ticket(1), state="called")
    due, place = policy.place_behind(back, [ticket(2)], 3, PLAIN)
    assert numbers(policy.order([ticket(2), replace(back, state="waiting", due=due, place=place)], PLAIN)) == [2, 1]
    assert policy.place_behind(back, [], 3, PLAIN) == (back.due, back.place)


def test_a_late_return_between_appointments_of_the_same_hour() -> None:
    queue = [ticket(n, "appointment", 0, appointed=60) for n in range(2, 8)]
    back = replace(ticket(1), state="called")
    due, place = policy.place_behind(back, queue, 3, PLAIN)
    assert numbers(policy.order([*queue, replace(back, state="waiting", due=due, place=place)], PLAIN)) == [
        2,
        3,
        4,
        1,
        5,
        6,
        7,
    ]


def test_who_pays_and_comes_back_late_has_no_more_right_to_pass() -> None:
    queue = [ticket(n) for n in range(1, 6)]
    back = replace(ticket(6, "vip"), state="called", returns=1)
    due, place = policy.place_behind(back, queue, 3, PAID, since_paid=2)
    ordered = numbers(policy.order([*queue, replace(back, state="waiting", due=due, place=place)], PAID, 2))
    assert ordered == [1, 2, 3, 4, 5, 6]


def test_two_late_returns_to_the_same_place() -> None:
    queue = [ticket(n) for n in range(3, 9)]
    for number in (1, 2):
        back = replace(ticket(number), state="called")
        due, place = policy.place_behind(back, queue, 3, PLAIN)
        queue.append(replace(back, state="waiting", due=due, place=place))
        assert numbers(policy.order(queue, PLAIN)).index(number) == 3


def test_a_late_return_gains_nothing() -> None:
    early = ticket(1, "appointment", 0, appointed=120)
    due, _ = policy.place_behind(replace(early, state="called"), [ticket(n) for n in range(2, 9)], 3, PLAIN)
    assert due == at(120)


# -- for every queue ---------------------------------------------------------------------------------------------------

configs = st.builds(
    QueueConfig,
    kinds=st.sampled_from([PLAIN.kinds, PAID.kinds, ("normal", "vip")]),
    paid_every=st.integers(1, 5),
    starvation_bound=st.integers(0, 4),
    late_tolerance=st.integers(0, 20),
)


@st.composite
def queues(draw: st.DrawFn) -> tuple[list[Ticket], QueueConfig, int]:
    config = draw(configs)
    rows = st.tuples(
        st.sampled_from(["normal", "normal", "appointment", "vip", "express", "emergency"]),
        st.integers(0, 240),
        st.one_of(st.none(), st.integers(0, 240)),
        st.sampled_from([None, None, "urgent", "stat"]),
    )
    made = [
        ticket(number, kind, came, appointed=appointed, priority=priority, config=config)
        for number, (kind, came, appointed, priority) in enumerate(draw(st.lists(rows, max_size=25)), 1)
    ]
    return draw(st.permutations(made)), config, draw(st.integers(0, 6))


@given(queues())
def test_the_order_is_a_permutation_whatever_order_rows_come_in(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    tickets, config, since_paid = case
    ordered = policy.order(tickets, config, since_paid)
    assert sorted(t.rid for t in ordered) == sorted(t.rid for t in tickets)
    assert policy.order(sorted(tickets, key=lambda t: t.rid), config, since_paid) == ordered


@given(queues())
def test_calls_one_by_one_follow_the_order_and_keep_the_bound(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    """What is shown as positions is what happens: the order announced is the order of calls, and a paid ticket passes
    nobody more often than the bound."""
    tickets, config, since_paid = case
    announced = policy.order(tickets, config, since_paid)
    waiting = {t.rid: t for t in tickets}
    called = []
    while found := policy.next_ticket(waiting.values(), config, since_paid):
        del waiting[found.rid]
        for rid in policy.passed_over(found, waiting.values(), config):
            waiting[rid] = replace(waiting[rid], passed=waiting[rid].passed + 1)
            assert waiting[rid].passed <= config.starvation_bound
        since_paid = policy.after_call(since_paid, found, config)
        called.append(found.rid)
    assert called == [t.rid for t in announced]


@given(queues())
def test_clinical_urgency_is_never_passed(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    tickets, config, since_paid = case
    ranks = [t.rank for t in policy.order(tickets, config, since_paid)]
    assert ranks == sorted(ranks)


@given(queues())
def test_without_paid_kinds_it_is_who_is_due_first(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    tickets, config, since_paid = case
    plain = replace(config, kinds=("normal", "appointment", "emergency"))
    ordered = policy.order(tickets, plain, since_paid)
    assert ordered == sorted(tickets, key=lambda t: (t.rank, t.due, t.place))


@given(queues())
def test_among_unpaid_of_a_rank_nobody_overtakes(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    tickets, config, since_paid = case
    for paid in (False, True):
        stream = [t for t in policy.order(tickets, config, since_paid) if policy.is_paid(t, config) is paid]
        assert stream == sorted(stream, key=lambda t: (t.rank, t.due, t.place))


@given(queues(), st.integers(0, 6))
def test_a_late_return_is_behind_the_next_ones(case: tuple[list[Ticket], QueueConfig, int], places: int) -> None:
    tickets, config, since_paid = case
    if not tickets:
        return
    back, *queue = tickets
    due, place = policy.place_behind(replace(back, state="called"), queue, places, config, since_paid)
    ordered = policy.order([*queue, replace(back, due=due, place=place, returns=1)], config, since_paid)
    assert [t.rid for t in ordered].index(back.rid) >= min(places, sum(t.rank <= back.rank for t in queue))


@given(queues())
def test_an_emergency_that_comes_takes_the_first_places(case: tuple[list[Ticket], QueueConfig, int]) -> None:
    tickets, config, since_paid = case
    before = policy.order(tickets, config, since_paid)
    after = policy.order([*tickets, ticket(99, "emergency", 240)], config, since_paid)
    assert [t for t in after if t.number != 99] == before
    assert all(t.kind == "emergency" for t in after[: [t.number for t in after].index(99)])
