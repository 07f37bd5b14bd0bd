"""Connections for tests in which many ask at once."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.reliability.wire import Heard, Http

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Ask = Callable[..., Heard]


@pytest.fixture
def asks(live_server: str, tenant: "TestTenant") -> Iterator[Callable[[int], list[Ask]]]:
    """Makes so many connections, one per thread."""
    token, made = tenant.token(), []

    def make(number: int) -> list[Ask]:
        made.extend(Http(f"{live_server}/t/{tenant.slug}/fhir", token) for _ in range(number))
        return [one.request for one in made[-number:]]

    yield make
    for one in made:
        one.close()
