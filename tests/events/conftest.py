"""What the tests of events share."""

from collections.abc import Iterator

import pytest

from fhir_server.events import wake
from fhir_server.settings import settings
from tests.events.valkeys import Valkey, valkey_apart


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Valkey of the test's own, as the one in the settings of this process."""
    with valkey_apart() as running:
        monkeypatch.setattr(settings, "redis_url", running.url)
        monkeypatch.setattr("fhir_server.rest.dispatch.wake.changed", wake.Sender().changed)
        yield running
