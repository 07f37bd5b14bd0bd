"""`:in`, `:not-in`, `:above` and `:below` after every change of data and definitions, against a slow oracle."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Client
from tests.conftest import TestTenant
from tests.hardening.conformance.hostile import URL, Json, code_system, put

CODES = "abcdef"
SYSTEM, OTHER = f"{URL}letters", "urn:other"
Parents = dict[str, str]
Coded = tuple[str, str]

codes = st.sampled_from(CODES)
coded = st.tuples(st.sampled_from([SYSTEM, SYSTEM, OTHER]), codes)
# A code stands below an earlier letter or nothing: no circles.
parents = st.fixed_dictionaries({c: st.sampled_from(["", *CODES[:at]]) for at, c in enumerate(CODES)})
listed = st.lists(codes, min_size=1, max_size=3, unique=True)
filtered = codes.map(lambda code: {"property": "concept", "op": "is-a", "value": code})
steps = st.lists(
    st.one_of(
        st.tuples(st.just("observe"), st.sampled_from("123"), st.lists(coded, max_size=2)),
        st.tuples(st.just("delete"), st.sampled_from("123"), st.none()),
        st.tuples(st.just("hierarchy"), st.just(""), parents),
        st.tuples(st.just("values"), st.just(""), st.one_of(listed, filtered)),
        st.tuples(st.just("patch"), st.sampled_from("123"), st.lists(coded, min_size=1, max_size=1)),
    ),
    min_size=2, max_size=7,
)  # fmt: skip


class _World:
    """What is stored, as plain Python, and the same in a tenant."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.observations: dict[str, list[Coded]] = {}
        self.parents: Parents = {}
        self.values: Any = ["a"]
        for id_ in "123":
            client.delete(f"Observation/{id_}")
        self.hierarchy("", dict.fromkeys(CODES, ""))
        self.define(["a"])

    def hierarchy(self, _: str, found: Parents) -> None:
        self.parents = found
        concepts = [
            {"code": code, **({"property": [{"code": "parent", "valueCode": found[code]}]} if found[code] else {})}
            for code in CODES
        ]  # fmt: skip
        declared = [{"code": "parent", "type": "code"}]
        assert put(self.client, code_system("letters", *concepts, property=declared)).status in (200, 201)

    def define(self, values: Any) -> None:
        self.values = values
        part: Json = {"system": SYSTEM}
        part |= {"filter": [values]} if isinstance(values, dict) else {"concept": [{"code": code} for code in values]}
        value_set: Json = {"resourceType": "ValueSet", "id": "some", "url": f"{URL}some", "status": "active"}
        assert put(self.client, {**value_set, "compose": {"include": [part]}}).status in (200, 201)

    def observe(self, id_: str, coding: list[Coded]) -> None:
        code: Json = {"text": "x", **({"coding": [{"system": s, "code": c} for s, c in coding]} if coding else {})}
        body: Json = {"resourceType": "Observation", "id": id_, "status": "final", "code": code}
        assert put(self.client, body).status in (200, 201)
        self.observations[id_] = coding

    def patch(self, id_: str, coding: list[Coded]) -> None:
        if id_ in self.observations:
            system, code = coding[0]
            change = [{"op": "replace", "path": "/code", "value": {"coding": [{"system": system, "code": code}]}}]
            answer = self.client.patch(f"Observation/{id_}", change, content_type="application/json-patch+json")
            assert answer.status == 200, answer.text
            self.observations[id_] = coding

    def remove(self, id_: str) -> None:
        if id_ in self.observations:
            assert self.client.delete(f"Observation/{id_}").status == 204
            del self.observations[id_]

    def above(self, code: str) -> set[str]:
        found = {code}
        while code := self.parents[code]:
            found.add(code)
        return found

    def has(self, test: Callable[[str], bool]) -> set[str]:
        return {id_ for id_, some in self.observations.items() if any(s == SYSTEM and test(c) for s, c in some)}

    def check(self) -> None:
        values = self.values
        member = self.has(lambda c: values["value"] in self.above(c) if isinstance(values, dict) else c in values)
        expected = {f"code:in={URL}some": member, f"code:not-in={URL}some": set(self.observations) - member}
        for code in CODES[:4]:
            expected[f"code:below={SYSTEM}|{code}"] = self.has(lambda c, code=code: code in self.above(c))  # type: ignore[misc]
            expected[f"code:above={SYSTEM}|{code}"] = self.has(lambda c, code=code: c in self.above(code))  # type: ignore[misc]
        for query, wanted in expected.items():
            found = {each["id"] for each in self.client.search(f"Observation?{query}")}
            assert found == wanted, (query, self.observations, self.parents, values)


@pytest.fixture(scope="module")
def tenant(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """One tenant, emptied by each example."""
    return new_tenant()


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(steps)
def test_every_search_after_every_change(tenant: TestTenant, steps: list[tuple[str, str, Any]]) -> None:
    world = _World(tenant.client())
    acts: dict[str, Callable[[str, Any], None]] = {
        "observe": world.observe, "delete": lambda id_, _: world.remove(id_), "hierarchy": world.hierarchy,
        "values": lambda _, values: world.define(values), "patch": world.patch,
    }  # fmt: skip
    for name, id_, value in steps:
        acts[name](id_, value)
        world.check()


def test_the_oracle_can_fail(tenant: TestTenant) -> None:
    world = _World(tenant.client())
    world.observe("1", [(SYSTEM, "b")])
    world.check()
    world.parents = {**world.parents, "b": "a"}
    with pytest.raises(AssertionError):
        world.check()
