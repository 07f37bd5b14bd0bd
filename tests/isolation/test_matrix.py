"""Every resource type, every interaction, three attackers: what is hidden answers as what never was. sec-T1, sec-13

The attackers: a token with every right in another tenant, a token of another patient of the same tenant, and a token
that has every right on another type. For each, the request on a hidden resource and the same request on an id that never
existed must be equal to the byte, but for the id itself and the moment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.security.roles import shared_types
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.isolation.attackers import one_of_each, put_all, shown
from tests.shared_data import needs_shared

pytestmark = needs_shared

TAG = "urn:isolation"
JSON_PATCH = "application/json-patch+json"
# Of the same length, so that not even a length can tell.
HIDDEN, GHOST = "zq-taken-1", "zq-ghost-1"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is aimed at: an id that is taken by a hidden resource, or one that never was."""

    type: str
    id: str
    body: dict[str, Any]

    @property
    def path(self) -> str:
        return f"{self.type}/{self.id}"


def _bundle(kind: str, method: str, url: str, resource: dict[str, Any] | None = None, **more: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        entry["resource"] = resource
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


def _patch() -> list[dict[str, Any]]:
    return [{"op": "add", "path": "/language", "value": "fr"}]


_META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
Request = Callable[[Client, Target], Answer]

# In this order: what may make or remove a resource under the id comes last.
READING: dict[str, Request] = {
    "read": lambda c, t: c.get(t.path),
    "head": lambda c, t: c.request("HEAD", t.path),
    "read-if-none-match": lambda c, t: c.get(t.path, if_none_match='W/"1"'),
    "read-if-modified-since": lambda c, t: c.get(t.path, if_modified_since="Wed, 21 Oct 2099 07:28:00 GMT"),
    "read-xml": lambda c, t: c.get(t.path, accept="application/fhir+xml"),
    "read-summary": lambda c, t: c.get(f"{t.path}?_summary=true"),
    "vread": lambda c, t: c.get(f"{t.path}/_history/1"),
    "vread-deleted": lambda c, t: c.get(f"{t.path}/_history/2"),
    "history": lambda c, t: c.get(f"{t.path}/_history"),
    "history-since": lambda c, t: c.get(f"{t.path}/_history?_since=2000-01-01"),
    "search-id": lambda c, t: c.get(f"{t.type}?_id={t.id}"),
    "search-post": lambda c, t: c.post(
        f"{t.type}/_search", f"_id={t.id}&_total=accurate", content_type="application/x-www-form-urlencoded"
    ),
    "search-tag": lambda c, t: c.get(f"{t.type}?_tag={TAG}|{t.id}&_total=accurate&_revinclude=*&_include=*"),
    "search-count": lambda c, t: c.get(f"{t.type}?_tag={TAG}|{t.id}&_summary=count"),
    "search-not": lambda c, t: c.get(f"{t.type}?_tag:not={TAG}|{t.id}&_summary=count"),
    "search-sorted": lambda c, t: c.get(f"{t.type}?_tag={TAG}|{t.id}&_sort=-_lastUpdated&_count=1"),
    "search-filter": lambda c, t: c.get(f"{t.type}?_filter=_tag eq {TAG}|{t.id}"),
    "search-system": lambda c, t: c.get(f"?_type={t.type}&_id={t.id}"),
    "compartment": lambda c, t: c.get(f"Patient/{t.id}/{t.type}"),
    "meta": lambda c, t: c.get(f"{t.path}/$meta"),
    "validate": lambda c, t: c.get(f"{t.path}/$validate"),
    "validate-delete": lambda c, t: c.post(
        f"{t.path}/$validate",
        {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "delete"}]},
    ),
    "everything": lambda c, t: c.get(f"{t.path}/$everything"),
    "batch-read": lambda c, t: c.post("", _bundle("batch", "GET", t.path)),
    "batch-search": lambda c, t: c.post("", _bundle("batch", "GET", f"{t.type}?_tag={TAG}|{t.id}&_total=accurate")),
    "transaction-read": lambda c, t: c.post("", _bundle("transaction", "GET", t.path)),
}
WRITING: dict[str, Request] = {
    "patch": lambda c, t: c.patch(t.path, _patch(), content_type=JSON_PATCH),
    "patch-test": lambda c, t: c.patch(
        t.path, [{"op": "test", "path": "/resourceType", "value": "Nothing"}], content_type=JSON_PATCH
    ),
    "meta-add": lambda c, t: c.post(f"{t.path}/$meta-add", _META),
    "meta-delete": lambda c, t: c.post(f"{t.path}/$meta-delete", _META),
    "update-if-match": lambda c, t: c.put(t.path, t.body, if_match='W/"99"'),
    "delete-if-match": lambda c, t: c.delete(t.path, if_match='W/"99"'),
    "delete": lambda c, t: c.delete(t.path),
    "conditional-patch": lambda c, t: c.patch(f"{t.type}?_tag={TAG}|{t.id}", _patch(), content_type=JSON_PATCH),
    "conditional-delete": lambda c, t: c.delete(f"{t.type}?_tag={TAG}|{t.id}"),
    "batch-patch": lambda c, t: c.post("", _bundle("batch", "PATCH", t.path, _binary_patch())),
    "batch-delete": lambda c, t: c.post("", _bundle("batch", "DELETE", t.path)),
    "transaction-patch": lambda c, t: c.post("", _bundle("transaction", "PATCH", t.path, _binary_patch())),
    "transaction-delete": lambda c, t: c.post("", _bundle("transaction", "DELETE", t.path)),
    "conditional-reference": lambda c, t: c.post(
        "", _bundle("transaction", "POST", "Basic", _basic(f"{t.type}?_tag={TAG}|{t.id}"))
    ),
    # These may make a resource: for who has the whole tenant, an unused id is free.
    "conditional-create": lambda c, t: c.post(
        t.type, {k: v for k, v in t.body.items() if k != "id"}, if_none_exist=f"_tag={TAG}|{t.id}"
    ),
    "conditional-update": lambda c, t: c.put(f"{t.type}?_tag={TAG}|{t.id}&_id={t.id}", t.body),
    "update-none-match": lambda c, t: c.put(t.path, t.body, if_none_match="*"),
    "update": lambda c, t: c.put(t.path, t.body),
    "batch-update": lambda c, t: c.post("", _bundle("batch", "PUT", t.path, t.body)),
    "transaction-update": lambda c, t: c.post("", _bundle("transaction", "PUT", t.path, t.body)),
}


def _binary_patch() -> dict[str, Any]:
    # [{"op":"add","path":"/language","value":"fr"}]
    data = "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2xhbmd1YWdlIiwidmFsdWUiOiJmciJ9XQ=="
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}


def _basic(reference: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": reference}}


def _named(example: dict[str, Any], id_: str) -> dict[str, Any]:
    """The example under an id, tagged with it; its device and binary belong to the example's patient, its consent is not in force."""
    resource = {**example, "id": id_, "meta": {"tag": [{"system": TAG, "code": id_}]}}
    if resource["resourceType"] == "Device":
        resource["patient"] = {"reference": "Patient/example"}
    if resource["resourceType"] == "Binary":
        resource["securityContext"] = {"reference": "Patient/example"}
    if resource["resourceType"] == "Consent":
        # One in force would hide the others from tokens that these tests hold against it.
        resource["status"] = "draft"
    return resource


@pytest.fixture(scope="module")
def types(tenant: TestTenant) -> list[str]:
    """The types of which a hidden resource is stored in the tenant, each under the same id."""
    resources = [_named(example, HIDDEN) for example in one_of_each().values()]
    put_all(tenant.client(), resources)
    return [each["resourceType"] for each in resources]


def _pairs(types: list[str]) -> Iterator[tuple[Target, Target]]:
    for name in types:
        example = one_of_each()[name]
        yield Target(name, HIDDEN, _named(example, HIDDEN)), Target(name, GHOST, _named(example, GHOST))


def _compare(client: Client, hidden: Target, ghost: Target, requests: dict[str, Request]) -> list[str]:
    """The interactions whose answers tell the hidden resource from one that never was."""
    found = []
    for name, request in requests.items():
        one, other = shown(request(client, hidden), hidden.id), shown(request(client, ghost), ghost.id)
        if one != other:
            found.append(f"{name} {hidden.type}: {_difference(one, other)}")
        if one[0] >= 500:
            found.append(f"{name} {hidden.type}: {one[0]}")
    return found


def _difference(one: Any, other: Any) -> str:
    parts = [f"{a!r} != {b!r}" for a, b in zip(one, other, strict=True) if a != b]
    return "; ".join(parts)[:600]


def test_the_examples_cover_the_types(types: list[str]) -> None:
    assert {*types, "AuditEvent"} == set(base_registry().resource_types)


def test_another_tenant(types: list[str], new_tenant: Callable[[], TestTenant]) -> None:
    attacker = new_tenant().client()
    found = [each for pair in _pairs(types) for each in _compare(attacker, *pair, {**READING, **WRITING})]
    assert found == []


def test_another_patient(tenant: TestTenant, types: list[str]) -> None:
    attacker = tenant.client("patient/*.cruds", patient="nobody-at-all")
    found: list[str] = []
    for hidden, ghost in _pairs(types):
        # What all patients may see is not hidden from this one.
        if hidden.type not in shared_types():
            found += _compare(attacker, hidden, ghost, {**READING, **WRITING})
    assert found == []


def test_a_token_of_another_type(tenant: TestTenant, types: list[str]) -> None:
    one, other = tenant.client("system/Basic.cruds"), tenant.client("system/Account.cruds")
    found: list[str] = []
    for hidden, ghost in _pairs(types):
        attacker = other if hidden.type == "Basic" else one
        found += _compare(attacker, hidden, ghost, {**READING, **WRITING})
        for request in ("read", "patch", "delete", "update", "history", "search-id"):
            assert ({**READING, **WRITING}[request])(attacker, hidden).status == 403, (request, hidden.type)
    assert found == []


def test_what_all_patients_may_see_is_seen(tenant: TestTenant, types: list[str]) -> None:
    anybody = tenant.client("patient/*.cruds", patient="nobody-at-all")
    for name in sorted(shared_types() & set(types)):
        assert anybody.get(f"{name}/{HIDDEN}").status == 200, name


def test_nothing_was_changed_by_the_attacks(tenant: TestTenant, types: list[str]) -> None:
    everything = tenant.client()
    for name in types:
        answer = everything.get(f"{name}/{HIDDEN}")
        assert (answer.status, answer.headers["ETag"]) == (200, 'W/"1"'), name


def test_the_comparison_tells(tenant: TestTenant, types: list[str]) -> None:
    """Known bad: with the rule dropped, as for a token of the whole tenant, reading tells at every interaction."""
    careless = tenant.client("system/*.rs")
    hidden, ghost = next(pair for pair in _pairs(types) if pair[0].type == "Observation")
    told = {each.split()[0] for each in _compare(careless, hidden, ghost, READING)}
    silent = {"compartment", "everything", "search-not", "vread-deleted", "read-if-modified-since", "validate-delete"}
    assert told >= set(READING) - silent
