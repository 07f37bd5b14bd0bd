"""The check after a write storm notices every kind of loss."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.reliability.storm import Notes, Storm, check

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture(scope="module")
def storm(live_server: str, tenant: "TestTenant") -> Storm:
    """A storm that has passed without any failure."""
    made = Storm(f"{live_server}/t/{tenant.slug}/fhir", tenant.token(), writers=2)
    made.start()
    made.wait_for(60, 180)
    made.stop()
    return made


def test_a_storm_without_failures_passes(storm: Storm) -> None:
    assert all(note.created and note.pairs and note.count for note in storm.notes)
    assert not any(note.unsure or note.refused for note in storm.notes)
    check(storm)


def lost_create(note: Notes) -> None:
    note.created["never-written"] = 'W/"1"'


def lost_version(note: Notes) -> None:
    note.created[next(iter(note.created))] = 'W/"2"'


def lost_count(note: Notes) -> None:
    note.count += 1


def count_too_many(note: Notes) -> None:
    note.count -= 1


def half_a_transaction(note: Notes) -> None:
    note.pairs.append((next(iter(note.created)), "never-written", False))


def lost_transaction(note: Notes) -> None:
    note.pairs.append(("never-written", "neither", True))


def forgotten(note: Notes) -> None:
    del note.created[next(iter(note.created))]


def refused_for_good(note: Notes) -> None:
    note.refused.append(500)


LOSSES = [
    lost_create, lost_version, lost_count, count_too_many, half_a_transaction, lost_transaction, forgotten, refused_for_good
]  # fmt: skip


@pytest.mark.parametrize("spoil", LOSSES)
def test_a_loss_is_noticed(storm: Storm, spoil: Callable[[Notes], None]) -> None:
    note = storm.notes[0]
    kept = (dict(note.created), list(note.pairs), note.count, list(note.refused))
    spoil(note)
    try:
        with pytest.raises(AssertionError):
            check(storm)
    finally:
        note.created, note.pairs, note.count, note.refused = kept
