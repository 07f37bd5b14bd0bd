"""Creates and updates with spoilt bodies, in JSON and XML: never a 5xx, always a reason."""

from collections.abc import Callable
from random import Random

import pytest

from tests.client import Client
from tests.fuzz import writes
from tests.fuzz.chunks import CHUNKS, SIZE, run
from tests.fuzz.generator import Sent

MAKERS: dict[str, Callable[[Random], Sent]] = {"write": writes.write, "xml": writes.xml}
ROWS = [(kind, chunk) for kind in MAKERS for chunk in range(CHUNKS[kind])]


@pytest.mark.parametrize(("kind", "chunk"), ROWS)
def test_every_answer_is_a_good_one(client: Client, kind: str, chunk: int) -> None:
    assert run(client, kind, chunk, MAKERS[kind]) == SIZE
