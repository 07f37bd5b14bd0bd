"""A follower sees every change once; its failures hold up nobody else and lose nothing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.events import follow
from fhir_server.storage import feed_positions
from fhir_server.storage.changes import Change
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.feed_positions import State
from tests.conftest import TestTenant
from tests.events.feeding import apart, entered, server, settle, write

SECRET = "Khadija Alaoui"


@pytest.fixture
def place(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """A tenant of the test's own."""
    return new_tenant()


@pytest.fixture(autouse=True)
def _same_time() -> Iterator[None]:
    yield
    clock.move(timedelta())


class Reader:
    """A follower that keeps what it was given, in a table too, and fails on some of it."""

    def __init__(self, poison: Sequence[int] = (), error: type[Exception] = RuntimeError) -> None:
        self.calls: list[list[int]] = []
        self.poison = set(poison)
        self.error = error

    def __call__(self, ctx: Context, changes: Sequence[Change]) -> None:
        assert ctx.db.held
        self.calls.append([each.seq for each in changes])
        for each in changes:
            sql = "INSERT INTO load_progress (tenant_id, source, position) VALUES ($1, $2, $3)"
            ctx.db.run([(sql, (ctx.tenant.id, f"{each.seq}-{len(self.calls)}", each.seq))], final=True)
        if self.poison.intersection(self.calls[-1]):
            raise self.error(SECRET)

    @property
    def seen(self) -> list[int]:
        return [seq for call in self.calls for seq in call]


def _effects(tenant: TestTenant) -> list[int]:
    """What the followers' work left in the database."""
    sql = "SELECT position FROM load_progress WHERE tenant_id = $1 ORDER BY position"
    return [int(row[0] or 0) for row in entered(tenant).run([(sql, (tenant.id,))], final=True)[0]]


def _state(tenant: TestTenant, reader: str = "r") -> State:
    return next(each for each in feed_positions.states(entered(tenant), tenant.id) if each.reader == reader)


def _begun(tenant: TestTenant, *names: str) -> None:
    settle(tenant)
    follow.run(server(tenant), dict.fromkeys(names or ("r",), lambda ctx, changes: None))


def _write(tenant: TestTenant, *seqs: int) -> None:
    db = apart(tenant)
    for seq in seqs:
        write(db, tenant, seq, rid=seq)
    db.close()
    settle(tenant)


def _minutes(minutes: float) -> None:
    clock.move(timedelta(minutes=minutes))


def test_a_new_reader_begins_now(place: TestTenant) -> None:
    _write(place, 1)
    reader = Reader()
    follow.run(server(place), {"r": reader})
    _write(place, 2, 3)
    follow.run(server(place), {"r": reader})
    follow.run(server(place), {"r": reader})
    assert reader.calls == [[2, 3]]


def test_batches_are_bounded_and_join(place: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    _begun(place)
    _write(place, *range(1, 9))
    reader = Reader()
    assert follow.run(server(place), {"r": reader}, batches=2) is True
    assert reader.calls == [[1, 2, 3], [4, 5, 6]]
    assert follow.run(server(place), {"r": reader}, batches=2) is False
    assert reader.seen == _effects(place) == list(range(1, 9))


def test_followers_do_not_wait_for_one_another(place: TestTenant) -> None:
    _begun(place, "bad", "good")
    _write(place, 1, 2)
    bad, good = Reader(poison=[2]), Reader()
    follow.run(server(place), {"bad": bad, "good": good})
    assert good.seen == [1, 2]
    assert _effects(place) == [1, 2]
    assert (_state(place, "bad").failures, _state(place, "good").failures) == (1, 0)
    assert _state(place, "bad").waiting_since is not None
    assert _state(place, "good").waiting_since is None


def test_a_failure_is_given_again_after_a_pause(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1, 2)
    reader = Reader(poison=[2])
    follow.run(server(place), {"r": reader})
    follow.run(server(place), {"r": reader})
    assert reader.calls == [[1, 2]]
    assert _effects(place) == []
    reader.poison.clear()
    _minutes(1)
    follow.run(server(place), {"r": reader})
    assert reader.calls == [[1, 2], [1, 2]]
    assert _effects(place) == [1, 2]
    assert _state(place) == State("r", 0, 0, None)


def test_the_poisonous_change_alone_is_set_aside(place: TestTenant, caplog: pytest.LogCaptureFixture) -> None:
    _begun(place)
    _write(place, 1, 2, 3, 4)
    reader = Reader(poison=[3])
    for minute in range(6):
        _minutes(2 * minute)
        follow.run(server(place), {"r": reader}, batches=50)
    assert reader.calls[:3] == [[1, 2, 3, 4]] * 3
    assert reader.calls[3:7] == [[1], [2], [3], [4]]
    assert _effects(place) == [1, 2, 4]
    assert _state(place).parked == 1
    assert SECRET not in caplog.text
    assert "RuntimeError" in caplog.text


def test_what_was_set_aside_is_tried_again_and_done_once(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1, 2)
    reader = Reader(poison=[1])
    for minute in range(4):
        _minutes(2 * minute)
        follow.run(server(place), {"r": reader}, batches=50)
    assert (_effects(place), _state(place).parked) == ([2], 1)
    reader.poison.clear()
    _minutes(60)
    follow.run(server(place), {"r": reader})
    _minutes(120)
    follow.run(server(place), {"r": reader})
    assert (_effects(place), _state(place).parked) == ([1, 2], 0)


def test_what_never_works_stays_on_record(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1)
    reader = Reader(poison=[1])
    for step in range(60):
        _minutes(step * 12 * 60)
        follow.run(server(place), {"r": reader})
    tried = len(reader.calls)
    _minutes(60 * 24 * 100)
    follow.run(server(place), {"r": reader})
    assert len(reader.calls) == tried < 25
    assert _state(place) == State("r", 0, 1, None)


def test_a_collision_is_run_again_at_once(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1)
    reader = Reader(poison=[1], error=lambda text: UniqueViolation(text))  # type: ignore[arg-type]
    follow.run(server(place), {"r": reader})
    assert len(reader.calls) == 5
    assert _state(place).failures == 1


def test_an_error_of_the_engine_is_a_failure_too(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1)
    follow.run(server(place), {"r": Reader(poison=[1], error=NotFound)})
    assert _state(place).failures == 1


def test_two_processes_do_not_give_a_change_twice(place: TestTenant) -> None:
    _begun(place)
    _write(place, 1, 2)
    inner = Reader()

    def outer(ctx: Context, changes: Sequence[Change]) -> None:
        follow.run(server(place, apart(place)), {"r": inner})

    follow.run(server(place), {"r": outer})
    assert inner.calls == []


def test_a_reader_that_does_nothing_holds_nobody_up(place: TestTenant) -> None:
    """Reading takes no transaction number, so the feed goes on while a follower thinks."""
    _begun(place)
    _write(place, 1)

    def slow(ctx: Context, changes: Sequence[Change]) -> None:
        _write(place, 2)

    follow.run(server(place, apart(place)), {"r": slow})


def _write_types(tenant: TestTenant, *names: str) -> list[int]:
    """Changes of these types, one after the other; their numbers."""
    type_ids, db, seqs = server(tenant).registry.type_ids, apart(tenant), []
    for number, name in enumerate(names, 1):
        seqs.append(10_000 + number)
        write(db, tenant, seqs[-1], rid=seqs[-1], type_id=type_ids[name])
    db.close()
    settle(tenant)
    return seqs


def test_what_a_follower_does_not_want_is_passed_over_without_a_call(place: TestTenant) -> None:
    _begun(place)
    reader = Reader()
    _write_types(place, *["Patient"] * 450)
    assert not follow.run(server(place), {"r": reader}, types={"r": ["Task"]})
    assert reader.calls == [] and _state(place).waiting_since is None


def test_passing_over_stops_before_the_first_wanted_change(place: TestTenant) -> None:
    _begun(place, "r", "all")
    reader, every = Reader(), Reader()
    seqs = _write_types(place, *["Patient"] * 300, "Task", *["Patient"] * 3)
    follow.run(server(place), {"r": reader, "all": every}, types={"r": ["Task", "Slot"]})
    assert reader.calls == [seqs[300:]]
    assert every.seen == seqs


def test_a_follower_that_failed_passes_nothing_over(place: TestTenant) -> None:
    _begun(place)
    seqs = _write_types(place, "Patient", "Task", "Patient")
    reader = Reader(poison=[seqs[1]])
    follow.run(server(place), {"r": reader}, types={"r": ["Task"]})
    assert _state(place).failures == 1 and reader.calls == [seqs[1:]]
    _minutes(5)
    reader.poison = set()
    follow.run(server(place), {"r": reader}, types={"r": ["Task"]})
    assert reader.calls[-1][0] == seqs[1] and _state(place).failures == 0
