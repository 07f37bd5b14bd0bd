"""A stream on which nothing happens."""

from typing import Any

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.events.feeding import eventually
from tests.events.hubs import Listener, hub_apart

PATIENT: dict[str, Any] = {"resourceType": "Patient"}


@pytest.mark.slow
def test_it_stays_open_and_goes_on(client: Client, tenant: TestTenant) -> None:
    with hub_apart() as hub:
        stream = Listener(hub.port, tenant.slug, ["type:Location"], tenant.token())
        stream.wait(1, "hello")
        first = stream.last_id
        client.create(PATIENT)
        assert eventually(lambda: stream.last_id != first)
        assert [each.name for each in stream.events] == ["hello"]
        again = Listener(hub.port, tenant.slug, ["type:Patient"], tenant.token(), after=stream.last_id)
        assert eventually(lambda: tenant.client().create(PATIENT) and again.changes())
        assert len(again.changes()) <= 2
