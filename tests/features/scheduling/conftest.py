"""The practice in which tests book, its patients, and connections for those in which many ask at once."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.client import Client
from tests.features.scheduling.clinic_day import Practice
from tests.reliability.wire import Heard, Http

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Ask = Callable[..., Heard]


@pytest.fixture(scope="module")
def practice(client: Client) -> Practice:
    """A practice of the module's own."""
    return Practice(client)


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
