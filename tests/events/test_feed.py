"""The change feed gives every committed change once, whatever the order in which transactions commit."""

import threading
from collections.abc import Callable

import pytest

from fhir_server.core.keys import patient_key
from fhir_server.events import feed
from fhir_server.storage import changes, clock
from fhir_server.storage.changes import Change, Position
from tests.client import Client
from tests.conftest import TestTenant
from tests.events.feeding import apart, entered, eventually, server, settle, write

BEGIN = (0, 0)


def _all(tenant: TestTenant, after: Position = BEGIN) -> list[Change]:
    return changes.read(entered(tenant), tenant.id, after, 1000)


def test_who_commits_late_is_not_skipped(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    slow, fast = apart(tenant), apart(tenant)
    write(slow, tenant, 10, commit=False)
    write(fast, tenant, 20)
    assert _all(tenant) == []
    slow.commit()
    settle(tenant)
    assert [each.seq for each in _all(tenant)] == [10, 20]


def test_a_late_number_of_a_fast_transaction_is_not_skipped(new_tenant: Callable[[], TestTenant]) -> None:
    """`id > last` would lose it: the seq is smaller than one that was read already."""
    tenant = new_tenant()
    write(apart(tenant), tenant, 20)
    settle(tenant)
    first = _all(tenant)
    write(apart(tenant), tenant, 10)
    settle(tenant)
    assert [each.seq for each in _all(tenant, first[-1].position)] == [10]


def test_what_is_rolled_back_never_was(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    other = apart(tenant)
    write(other, tenant, 10, commit=False)
    other.rollback()
    write(other, tenant, 20)
    settle(tenant)
    assert [each.seq for each in _all(tenant)] == [20]


def test_a_watcher_sees_at_once_what_is_not_settled(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    slow, fast = apart(tenant), apart(tenant)
    write(slow, tenant, 10, commit=False)
    write(fast, tenant, 20)
    seen, end = changes.visible(entered(tenant), tenant.id, BEGIN, 10)
    assert [(change.seq, change.position <= end) for change in seen] == [(20, False)]
    slow.commit()
    settle(tenant)
    seen, end = changes.visible(entered(tenant), tenant.id, BEGIN, 10)
    assert [(change.seq, change.position <= end) for change in seen] == [(10, True), (20, True)]


def test_pages_join_without_gap_or_repetition(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    db = apart(tenant)
    for seq in range(1, 51):
        write(db, tenant, seq, commit=seq % 7 == 0)
    db.commit()
    settle(tenant)
    seen: list[Change] = []
    place = BEGIN
    while page := changes.read(entered(tenant), tenant.id, place, 4):
        seen += page
        place = page[-1].position
    assert [each.seq for each in seen] == list(range(1, 51))


def test_writers_that_race_lose_nothing(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    place, _ = changes.end(entered(tenant), tenant.id)
    count, writers = 40, 6

    def work(number: int) -> None:
        db = apart(tenant)
        for step in range(count):
            write(db, tenant, clock.tick() * writers + number, rid=number, version=step, commit=step % 3 != number % 3)
        db.commit()
        db.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[Change] = []

    def more() -> bool:
        nonlocal place
        page = changes.read(entered(tenant), tenant.id, place, 7)
        if page:
            seen.extend(page)
            place = page[-1].position
        return len(seen) == count * writers and not page

    assert eventually(more, 60)
    for thread in threads:
        thread.join()
    assert len({(each.rid, each.version) for each in seen}) == len(seen) == count * writers
    assert seen == sorted(seen, key=lambda each: each.position)


def test_the_end_comes_before_all_that_follows(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    write(apart(tenant), tenant, clock.tick())
    settle(tenant)
    slow = apart(tenant)
    write(slow, tenant, clock.tick(), rid=2, commit=False)
    end, _ = changes.end(entered(tenant), tenant.id)
    slow.commit()
    write(slow, tenant, clock.tick(), rid=3)
    settle(tenant)
    assert [each.rid for each in _all(tenant, end)] == [2, 3]


def test_tenants_have_feeds_of_their_own(new_tenant: Callable[[], TestTenant]) -> None:
    one, other = new_tenant(), new_tenant()
    write(apart(one), one, 10)
    settle(one)
    assert _all(other) == []
    assert changes.read(entered(other), one.id, BEGIN, 10) == []


def test_contents_are_what_was_and_what_is(tenant: TestTenant, client: Client) -> None:
    settle(tenant)
    start, _ = changes.end(entered(tenant), tenant.id)
    made = client.create({"resourceType": "Patient", "gender": "female"})
    client.put(f"Patient/{made['id']}", {**made, "gender": "male"})
    client.delete(f"Patient/{made['id']}")
    client.put(f"Patient/{made['id']}", {**made, "gender": "other"})
    settle(tenant)
    ctx = server(tenant)
    seen = _all(tenant, start)
    ctx = server(tenant)
    found = feed.contents(ctx, seen)
    shown = [
        (each.method, each.version, (found[each].before or {}).get("gender"), (found[each].after or {}).get("gender"))
        for each in seen
    ]
    assert shown == [("C", 1, None, "female"), ("U", 2, "female", "male"), ("D", 3, "male", None), ("U", 4, None, "other")]
    assert {(each.type, each.id) for each in found.values()} == {("Patient", made["id"])}


def test_heads_are_judged_as_they_are_now(tenant: TestTenant, client: Client) -> None:
    settle(tenant)
    start, _ = changes.end(entered(tenant), tenant.id)
    made = client.create({"resourceType": "Patient"})
    client.delete(f"Patient/{made['id']}")
    settle(tenant)
    seen = _all(tenant, start)
    heads = changes.heads(entered(tenant), tenant.id, seen)
    assert [heads[each].deleted for each in seen] == [True, True]
    assert all(patient_key(made["id"]) in heads[each].keys for each in seen)
    assert [len(heads[each].past) for each in seen] == [1, 1]


def _change(rid: int, version: int) -> Change:
    return Change(1, 1, rid, 1, version, "U")


def test_versions_of_a_resource_come_in_their_order() -> None:
    mixed = [_change(1, 3), _change(2, 1), _change(1, 2), _change(1, 4)]
    assert [(each.rid, each.version) for each in feed.in_version_order(mixed)] == [(1, 2), (2, 1), (1, 3), (1, 4)]


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", "1-2-3", "1-2 ", "99999999999999999999-1", "9223372036854775808-1", "١-٢"])
def test_what_is_no_place_is_known(text: str) -> None:
    assert feed.parse(text) is None


def test_a_place_is_a_text() -> None:
    assert feed.parse(feed.as_text((7, 12))) == (7, 12)


def test_old_and_foreign_places_cannot_be_replayed(tenant: TestTenant) -> None:
    db = entered(tenant)
    (xid, seq), following = changes.end(db, tenant.id)
    day = (24 * 3600 * 1_000_000) << clock.NODE_BITS
    assert feed.replayable(db, tenant.id, (xid, seq))
    assert feed.replayable(db, tenant.id, (xid, seq - day + (10_000_000 << clock.NODE_BITS)))
    assert not feed.replayable(db, tenant.id, (xid, seq - day - (10_000_000 << clock.NODE_BITS)))
    assert not feed.replayable(db, tenant.id, (following + 1_000_000, seq))
    assert not feed.replayable(db, tenant.id, (xid, seq + day))
