"""Who is called next. Pure functions of tickets and rules: the same log gives the same order.

A ticket's key is (clinical rank, due, place, number). Emergencies come before all, then what a clinician marked as more
urgent; within a rank who is due first, where an appointment is due at its hour and others when they came. Paid kinds
(vip, express), only in queues whose configuration names them, may pass others of their own rank: every `paidEvery`-th
call at most, and nobody is passed more than `starvationBound` times.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fhir_server.features.queue.configuration import QueueConfig
from fhir_server.storage.tickets import Ticket

PAID = ("vip", "express")
# Room between the places of two numbers, so that a ticket can be put between them.
PLACE_STEP = 1 << 20
_RANKS = {"stat": 1, "asap": 2, "urgent": 3}
_EMERGENCY, _ROUTINE = 0, 4
Key = tuple[int, datetime, int, int]


def first_place(number: int) -> int:
    """Where a new ticket stands among those of the same rank that are due at the same moment."""
    return number * PLACE_STEP


def entry(
    kind: str, priority: str | None, appointed: datetime | None, arrived: datetime, config: QueueConfig
) -> tuple[int, datetime]:
    """Clinical rank and due time of a new ticket. `priority`: Task.priority; `arrived`: the first arrival, also after
    a transfer. Whoever comes early for an appointment waits for its hour; who is late by more than the tolerance is due
    when he came."""
    rank = _EMERGENCY if kind == "emergency" else _RANKS.get(priority or "", _ROUTINE)
    if kind != "appointment" or appointed is None:
        return rank, arrived
    in_time = arrived <= appointed + timedelta(minutes=config.late_tolerance)
    return rank, appointed if in_time else arrived


def is_paid(ticket: Ticket, config: QueueConfig) -> bool:
    """Whether the ticket has a right to pass others here. Who comes back late has it no more."""
    return ticket.kind in PAID and ticket.kind in config.kinds and ticket.rank != _EMERGENCY and not ticket.returns


def order(waiting: Iterable[Ticket], config: QueueConfig, since_paid: int = 0) -> list[Ticket]:
    """The waiting tickets in the order in which they would be called if nothing else happened. `since_paid`: calls of
    unpaid tickets since the last paid one (see `after_call`). A ticket's position is its index."""
    return list(_calls(waiting, config, since_paid))


def _calls(waiting: Iterable[Ticket], config: QueueConfig, since_paid: int) -> Iterator[Ticket]:
    by_rank: dict[int, _Rank] = {}
    for ticket in sorted(waiting, key=_key):
        if ticket.state == "waiting":
            by_rank.setdefault(ticket.rank, _Rank()).add(ticket, is_paid(ticket, config))
    for _, rank in sorted(by_rank.items()):
        while found := rank.take(config, since_paid):
            yield found
            since_paid = after_call(since_paid, found, config)


def next_ticket(
    waiting: Iterable[Ticket], config: QueueConfig, since_paid: int = 0, kinds: Collection[str] | None = None
) -> Ticket | None:
    """Who is called next by a desk that serves these kinds (None: all), or None when nobody waits for it."""
    return next((t for t in _calls(waiting, config, since_paid) if kinds is None or t.kind in kinds), None)


def after_call(since_paid: int, called: Ticket, config: QueueConfig) -> int:
    """The counter `since_paid` after a call. Emergencies do not count, on either side."""
    if called.rank == _EMERGENCY:
        return since_paid
    return 0 if is_paid(called, config) else since_paid + 1


def passed_over(called: Ticket, waiting: Iterable[Ticket], config: QueueConfig) -> list[int]:
    """The rids of waiting tickets that a paid one passes by being called: their `passed` grows by one."""
    if not is_paid(called, config):
        return []
    return [t.rid for t in waiting if _is_passed(t, called, config)]


def place_behind(
    ticket: Ticket, waiting: Iterable[Ticket], places: int, config: QueueConfig, since_paid: int = 0
) -> tuple[datetime, int]:
    """Due time and place with which a ticket that comes back late, `returns` counted, is called after the next `places`
    others; its rank stays, and so does its present place where that is further behind. More urgent tickets count among
    the others; less urgent ones do not."""
    others = [t for t in order(waiting, config, since_paid) if t.rid != ticket.rid and t.rank <= ticket.rank]
    peers = sorted((t for t in others if t.rank == ticket.rank), key=_key)
    back = replace(ticket, state="waiting", returns=max(ticket.returns, 1))
    present = back.due, back.place
    for index in range(-1, len(peers)):
        if index >= 0:
            due, place = max(_after(peers[index], peers[index + 1 : index + 2]), present)
            back = replace(back, due=due, place=place)
        before = [t.rid for t in order([*others, back], config, since_paid)].index(ticket.rid)
        if before >= min(places, len(others)):
            break
    return back.due, back.place


def _after(before: Ticket, following: Sequence[Ticket]) -> tuple[datetime, int]:
    """Due time and place between two neighbours."""
    if following and following[0].due == before.due:
        return before.due, (before.place + following[0].place) // 2
    return before.due, before.place + PLACE_STEP // 2


def _key(ticket: Ticket) -> Key:
    return ticket.rank, ticket.due, ticket.place, ticket.number


def _is_passed(ticket: Ticket, called: Ticket, config: QueueConfig) -> bool:
    before = _key(ticket) < _key(called)
    return before and ticket.state == "waiting" and ticket.rank == called.rank and not is_paid(ticket, config)


@dataclass(slots=True)
class _Rank:
    """The tickets of one clinical rank while an order is worked out: both streams by key, and of the unpaid ones their
    keys and how often each has been passed."""

    unpaid: list[Ticket] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    paid: list[Ticket] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)

    def add(self, ticket: Ticket, paid: bool) -> None:
        """Take in the next ticket by key."""
        (self.paid if paid else self.unpaid).append(ticket)
        if not paid:
            self.keys.append(_key(ticket))
            self.passed.append(ticket.passed)

    def take(self, config: QueueConfig, since_paid: int) -> Ticket | None:
        """Remove and give the ticket to call next; None when none is left."""
        if not self.paid:
            return self._unpaid() if self.unpaid else None
        overtaken = bisect_left(self.keys, _key(self.paid[0]))
        if overtaken:
            waits = since_paid + 1 < config.paid_every
            if waits or max(self.passed[:overtaken]) >= config.starvation_bound:
                return self._unpaid()
        for index in range(overtaken):
            self.passed[index] += 1
        return self.paid.pop(0)

    def _unpaid(self) -> Ticket:
        self.passed.pop(0)
        self.keys.pop(0)
        return self.unpaid.pop(0)
