"""Whatever JSON a client sends, the answer is acceptance or a `FhirError`; and every refusal is explained."""

import copy
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError
from fhir_server.core.resource_json import encode
from fhir_server.validation.run import check
from tests.validation.test_cases import BASES

NAMES = st.sampled_from(
    ["id", "extension", "url", "code", "coding", "value", "valueString", "reference", "contained", "text", "div",
     "status", "period", "start", "_status", "_birthDate", "resourceType", "name", "given", "_given", "meta", "zzz"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(Decimal("1.00")),
    st.sampled_from(["", "x", "2020", "2020-02-30", "#a", "Patient/1", "http://x", "final", "<div/>", "\x00", "é"]),
)  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)), max_leaves=6
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(value, dict):
        found += [p for key, child in value.items() for p in places(child, (*at, key))]
    if isinstance(value, list):
        found += [p for i, child in enumerate(value) for p in places(child, (*at, i))]
    return found


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_changed_resource(data: st.DataObject) -> None:
    resource: Any = copy.deepcopy(BASES[data.draw(st.sampled_from(sorted(BASES)))])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(resource)))
        at: Any = resource
        for step in place:
            at = at[step]
        if isinstance(at, dict):
            at[data.draw(NAMES)] = data.draw(JSON)
        elif isinstance(at, list):
            at.append(data.draw(JSON))
    before = encode(resource)
    try:
        issues = check(base_registry(), resource)
    except FhirError:
        return
    assert all(issue.text and issue.expression for issue in issues)
    assert encode(resource) == before


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_json(value: Any) -> None:
    try:
        check(base_registry(), value)
    except FhirError:
        return
