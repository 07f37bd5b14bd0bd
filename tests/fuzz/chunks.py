"""Sends a chunk of generated requests and looks at every answer."""

import gzip
from collections.abc import Callable
from random import Random
from typing import Any

from lxml import etree

from tests.client import Answer, Client
from tests.fuzz.generator import Sent
from tests.rest.bodies import patient, weight

SIZE = 250
# Chunks per kind of request; together 10,000 requests. The modules here run them, so that several processes share them.
CHUNKS = {"write": 10, "xml": 4, "search": 12, "patch": 3, "bundle": 4, "operation": 3, "path": 4}
_TEXT = ".//{http://hl7.org/fhir}issue/{http://hl7.org/fhir}details/{http://hl7.org/fhir}text"


def run(client: Client, kind: str, chunk: int, make: Callable[[Random], Sent]) -> int:
    """Send one chunk; how many requests it was. Fails at the first answer that is not as it should be."""
    for resource in (patient("f0", id="f0"), weight("Patient/f0", id="f0")):
        assert client.put(f"{resource['resourceType']}/f0", resource).status in (200, 201)
    for number in range(SIZE):
        sent = make(Random(f"{kind}/{chunk}/{number}"))
        answer = client.request(sent.method, sent.path, sent.body, **sent.headers)
        wrong = fault(answer)
        assert wrong is None, f"{kind}/{chunk}/{number}: {wrong}\n{sent}\n{answer.status} {answer.body[:1000]!r}"
    return SIZE


def fault(answer: Answer) -> str | None:
    """What is wrong with an answer, if anything: a 5xx, a refusal without a helpful OperationOutcome, no JSON or XML."""
    if answer.status >= 500:
        return "the server failed"
    kind = answer.headers.get("Content-Type", "")
    if answer.headers.get("Content-Encoding") == "gzip":
        answer = Answer(answer.status, answer.headers, gzip.decompress(answer.body))
    texts: list[Any] = []
    if answer.body and kind.startswith("application/fhir+json"):
        value = answer.json
        if answer.status >= 400:
            if value.get("resourceType") != "OperationOutcome":
                return "the refusal is no OperationOutcome"
            texts = [issue.get("details", {}).get("text") for issue in value.get("issue", [])]
    elif answer.body and kind.startswith("application/fhir+xml"):
        texts = [found.get("value") for found in etree.fromstring(answer.body).iterfind(_TEXT)]
    if answer.status < 400 or "Content-Length" in answer.headers and not answer.body:
        return None
    if not texts or any(not isinstance(text, str) or len(text) < 10 for text in texts):
        return "the refusal does not say why"
    return None
