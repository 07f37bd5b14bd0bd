"""Definitions that nobody honest writes, and the question that every attack ends with: can the tenant go on?"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any

from tests.client import Answer, Client

Json = dict[str, Any]
URL = "http://hostile.example/"
# What one request may take of a web worker's processor, a busy machine allowed for.
SECONDS = 8.0
# As heavy as an evaluation can be on any resource, however small: 2 billion items, were it let.
_LETTERS = "'" + "a" * 1_500 + "'.toChars()"
HEAVY = f"{_LETTERS}.select({_LETTERS}).select({_LETTERS}).count()"


@contextmanager
def budget(seconds: float = SECONDS) -> Iterator[None]:
    """At most so much processor time of this thread, in which the tests' client runs the server."""
    began = thread_time()
    yield
    assert thread_time() - began < seconds


def profile(id_: str, *elements: Json, kind: str = "Patient", **more: Any) -> Json:
    """An active StructureDefinition with a differential, or with what `more` says instead."""
    return {
        "resourceType": "StructureDefinition", "id": id_, "url": f"{URL}{id_}", "name": id_.title(), "status": "active",
        "kind": "resource", "abstract": False, "type": kind, "derivation": "constraint",
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        **({} if "snapshot" in more else {"differential": {"element": [{"id": kind, "path": kind}, *elements]}}), **more,
    }  # fmt: skip


def parameter(id_: str, expression: str, base: str = "Patient", kind: str = "token", **more: Any) -> Json:
    """An active SearchParameter."""
    return {
        "resourceType": "SearchParameter", "id": id_, "url": f"{URL}{id_}", "name": id_, "status": "active",
        "description": id_, "code": id_, "base": [base], "type": kind, "expression": expression, **more,
    }  # fmt: skip


def code_system(id_: str, *concepts: Json, **more: Any) -> Json:
    """A complete CodeSystem."""
    return {
        "resourceType": "CodeSystem", "id": id_, "url": f"{URL}{id_}", "status": "active", "content": "complete",
        "concept": list(concepts), **more,
    }  # fmt: skip


def put(client: Client, resource: Json) -> Answer:
    """Store a resource under its id."""
    return client.put(f"{resource['resourceType']}/{resource['id']}", resource)


def patient(id_: str, *profiles: str, **more: Any) -> Json:
    """A Patient that claims these profiles, by their ids."""
    meta = {"meta": {"profile": [f"{URL}{name}" for name in profiles]}} if profiles else {}
    return {"resourceType": "Patient", "id": id_, **meta, "name": [{"family": "Diop"}], **more}


def goes_on(client: Client, *definitions: str) -> None:
    """The tenant reads, writes and searches, and rids itself of the definitions (`Type/id`)."""
    with budget():
        assert client.get("Patient?_count=1").status == 200
    for name in definitions:
        with budget():
            assert client.delete(name).status in (200, 204), name
    with budget():
        assert put(client, patient("goes-on", active=True)).status in (200, 201)
        assert client.delete("Patient/goes-on").status in (200, 204)
        assert client.get("metadata").status == 200


def tags(client: Client, kind: str) -> None:
    """Keep data of a type although it breaks rules."""
    given = [{"name": "type", "valueCode": kind}, {"name": "mode", "valueCode": "tag"}]
    answer = client.post("$change-validation-policy", {"resourceType": "Parameters", "parameter": given})
    assert answer.status == 200, answer.text
