"""A tenant with a log of its own for each test."""

from collections.abc import Iterator

import pytest

from tests.audit.world import Log, make_log


@pytest.fixture
def log() -> Iterator[Log]:
    """A new, empty tenant."""
    made = make_log()
    yield made
    made.db.close()
