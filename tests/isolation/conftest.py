"""One tenant with the record of a patient who asks and that of another."""

import pytest

from tests.client import Client
from tests.conftest import TestTenant
from tests.isolation.attackers import put_all
from tests.isolation.two_patients import IDENTIFIER, SECRET, VALUE, observation, patient


@pytest.fixture(scope="module")
def world(tenant: TestTenant, client: Client) -> TestTenant:
    """Patient p, who asks, and patient q with a value that is not to be found out."""
    put_all(
        client,
        [
            patient("p", "mine", "both", "one-each", name=[{"family": "Mine"}], birthDate="1980-01-01"),
            patient("q", "theirs", "both", name=[{"family": SECRET}], birthDate="1955-05-05"),
            patient("q2", "both", name=[{"family": SECRET}]),
            observation("op", "p", 5, hasMember=[{"reference": "Observation/oq"}]),
            observation(
                "oq",
                "q",
                VALUE,
                hasMember=[{"reference": "Observation/op"}],
                note=[{"text": SECRET}],
                identifier=[{"system": IDENTIFIER, "value": "oq"}],
            ),
            observation("oq2", "q", VALUE, identifier=[{"system": IDENTIFIER, "value": "oq"}]),
        ],
    )
    return tenant


@pytest.fixture(scope="module")
def mine(world: TestTenant) -> Client:
    """The token of patient p."""
    return world.client("patient/*.cruds", patient="p")
