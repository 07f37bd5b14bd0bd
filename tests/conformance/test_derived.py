"""Which parameters need no index rows because others hold them."""

import pytest

from fhir_server.conformance.registry import base_registry

PARTS = [
    ("Observation", "combo-code", ("code", "component-code")),
    ("Observation", "combo-value-quantity", ("component-value-quantity", "value-quantity")),
    ("Observation", "combo-code-value-quantity", ("code-value-quantity", "component-code-value-quantity")),
    ("Patient", "phonetic", ("name",)),
    ("Patient", "name", ()),
    ("Observation", "code", ()),
    # References are followed as well as searched, so they keep rows under their own id.
    ("Coverage", "patient", ()),
    ("Coverage", "beneficiary", ()),
]
CONJUNCTS = [
    ("Observation", "code-value-quantity", ("code", "value-quantity")),
    ("Observation", "code-value-concept", ("code", "value-concept")),
    # Inside a repeating element a code and a value must be of the same repetition.
    ("Observation", "component-code-value-quantity", ()),
    ("Group", "characteristic-value", ()),
    # value-string also reads texts of concepts, which the composite does not.
    ("Observation", "code-value-string", ()),
]


@pytest.mark.parametrize(("resource_type", "code", "parts"), PARTS)
def test_parts(resource_type: str, code: str, parts: tuple[str, ...]) -> None:
    assert base_registry().search_params(resource_type)[code].parts == parts


@pytest.mark.parametrize(("resource_type", "code", "conjuncts"), CONJUNCTS)
def test_conjuncts(resource_type: str, code: str, conjuncts: tuple[str, ...]) -> None:
    assert base_registry().search_params(resource_type)[code].conjuncts == conjuncts


def test_what_holds_rows_for_others_has_rows_itself() -> None:
    registry = base_registry()
    for resource_type in registry.resource_types:
        params = registry.search_params(resource_type)
        for param in params.values():
            assert not (param.parts and param.conjuncts)
            assert all(not params[code].parts for code in (*param.parts, *param.conjuncts))
