"""Whose definitions the terminology operations use: only those that the caller may read, and as they are now."""

from typing import Any

import pytest

from tests.client import Client
from tests.operations.terminology_resources import FISH, all_of, codes, expand, fish, refusal, said, value_set

OTHER = "urn:test:other-fish"


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    client.create(fish())
    client.create({**fish(), "url": OTHER, "status": "draft", "valueSet": "urn:test:hidden-fish"})
    client.create(value_set("urn:test:shown", all_of()))
    client.create(value_set("urn:test:hidden", all_of(), status="draft"))
    client.create({
        "resourceType": "CodeSystem", "url": "urn:test:names", "status": "draft", "content": "supplement",
        "supplements": FISH, "concept": [{"code": "trout", "designation": [{"language": "de", "value": "Forelle"}]}],
    })  # fmt: skip
    client.create({
        "resourceType": "ConceptMap", "url": "urn:test:map", "status": "active",
        "group": [{"source": FISH, "target": OTHER, "element": [{"code": "trout", "target": [{"code": "salmon", "equivalence": "equal"}]}]}],
    })  # fmt: skip


# Scope; what it sees: own code system, the other one, own value set, the hidden one, the supplement, the concept map.
SEEN = [
    ("system/*.rs", (200, 200, 200, 200, "Forelle", True)),
    ("system/Patient.rs", (422, 422, 404, 404, None, False)),
    ("system/CodeSystem.rs", (200, 200, 404, 404, "Forelle", False)),
    ("system/ValueSet.rs", (422, 422, 422, 422, None, False)),
    ("system/CodeSystem.rs?status=active system/ValueSet.rs?status=active", (200, 422, 200, 404, "Brown trout", False)),
]


@pytest.mark.parametrize(("scope", "expected"), SEEN)
def test_what_a_scope_sees(tenant: Any, scope: str, expected: tuple[Any, ...]) -> None:
    caller = tenant.client(scope)
    own = caller.get(f"CodeSystem/$lookup?system={FISH}&code=trout&displayLanguage=de")
    other = caller.get(f"CodeSystem/$lookup?system={OTHER}&code=trout")
    sets = [caller.get(f"ValueSet/$expand?url=urn:test:{name}").status for name in ("shown", "hidden")]
    mapped = caller.get(f"ConceptMap/$translate?targetsystem={OTHER}&system={FISH}&code=trout")
    seen = (own.status, other.status, *sets, said(own, "display") if own.status == 200 else None, said(mapped, "result"))
    assert seen == expected


def test_the_table_would_notice_a_wrong_row(tenant: Any) -> None:
    assert tenant.client("system/Patient.rs").get("ValueSet/$expand?url=urn:test:shown").status != 200


def test_what_is_hidden_is_hidden_as_import_and_as_all_codes_too(tenant: Any) -> None:
    caller = tenant.client("system/CodeSystem.rs?status=active system/ValueSet.rs?status=active")
    assert refusal(caller.get("ValueSet/$expand?url=urn:test:hidden-fish")) == (404, "not-found")
    importing = value_set("urn:test:x", {"valueSet": ["urn:test:hidden"]})
    assert refusal(caller.post("ValueSet/$expand", importing)) == (422, "not-found")


def test_another_tenant_sees_nothing(new_tenant: Any) -> None:
    other = new_tenant().client()
    assert refusal(other.get("ValueSet/$expand?url=urn:test:shown")) == (404, "not-found")
    assert refusal(other.get("ValueSet/$expand?url=urn:test:all-fish")) == (404, "not-found")
    assert said(other.get(f"ConceptMap/$translate?targetsystem={OTHER}&system={FISH}&code=trout"), "result") is False


def test_changes_count_at_once(new_tenant: Any) -> None:
    client = new_tenant().client()
    system = client.create(fish(concept=[{"code": "trout"}]))
    chosen = client.create(value_set("urn:test:live", all_of()))
    outer = client.create(value_set("urn:test:outer", {"valueSet": ["urn:test:live"]}))

    def now() -> list[str]:
        return codes(client.get("ValueSet/$expand?url=urn:test:outer").json["expansion"])

    assert now() == ["trout"]
    client.put(f"CodeSystem/{system['id']}", {**system, "concept": [{"code": "trout"}, {"code": "pike"}]})
    assert now() == ["trout", "pike"]
    client.put(f"ValueSet/{chosen['id']}", {**chosen, "compose": {"include": [all_of(concept=[{"code": "pike"}])]}})
    assert now() == ["pike"]
    assert said(client.get(f"ValueSet/{outer['id']}/$validate-code?system={FISH}&code=trout"), "result") is False
    client.delete(f"ValueSet/{chosen['id']}")
    assert refusal(client.get("ValueSet/$expand?url=urn:test:outer")) == (422, "not-found")
    client.delete(f"CodeSystem/{system['id']}")
    assert refusal(client.get(f"CodeSystem/$lookup?system={FISH}&code=trout")) == (422, "not-supported")


def test_what_one_request_brings_along_is_not_remembered(client: Client) -> None:
    brought = value_set("urn:test:shown", all_of(concept=[{"code": "trout"}]))
    assert codes(expand(client, brought)) == ["trout"]
    assert len(codes(client.get("ValueSet/$expand?url=urn:test:shown").json["expansion"])) == 6
