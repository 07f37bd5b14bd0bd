"""The fuzz run is as large as promised, the same every time, and notices what it looks for."""

from random import Random
from typing import TYPE_CHECKING

import pytest
from werkzeug.datastructures import Headers

from tests.client import Answer
from tests.fuzz import searches, test_bodies, test_requests, test_searches, writes
from tests.fuzz.chunks import CHUNKS, SIZE, fault

if TYPE_CHECKING:
    from tests.client import Client

JSON = Headers({"Content-Type": "application/fhir+json; charset=utf-8"})


def test_ten_thousand_requests_are_sent() -> None:
    rows = [row for module in (test_bodies, test_searches, test_requests) for row in module.ROWS]
    assert len(rows) == len(set(rows)) == sum(CHUNKS.values())
    assert len(rows) * SIZE >= 10_000


@pytest.mark.parametrize("make", [writes.write, writes.xml, writes.patch, writes.bundle, searches.search])
def test_the_same_seed_gives_the_same_requests(make: object) -> None:
    assert callable(make)
    one, two = ([repr(make(Random(seed))) for seed in range(40)] for _ in range(2))
    assert one == two
    assert len(set(one)) > 20


BAD = [
    Answer(500, JSON, b'{"resourceType":"OperationOutcome","issue":[{"details":{"text":"long enough"}}]}'),
    Answer(400, JSON, b'{"resourceType":"Bundle"}'),
    Answer(400, JSON, b'{"resourceType":"OperationOutcome","issue":[]}'),
    Answer(400, JSON, b'{"resourceType":"OperationOutcome","issue":[{"details":{"text":"no"}}]}'),
    Answer(404, Headers({"Content-Type": "text/html"}), b"<html>Not Found</html>"),
]


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_answer_is_noticed(answer: Answer) -> None:
    assert fault(answer) is not None


def test_a_good_answer_is_let_pass(client: "Client") -> None:
    assert fault(client.get("metadata")) is None
    assert fault(client.get("Patient/none")) is None
