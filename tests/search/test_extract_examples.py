"""Extraction over everything: each base parameter compiles, and each official example gives the rows that the generic
FHIRPath evaluation of the parameters' expressions implies."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.conformance.search_parameters import SearchParam, split_union
from fhir_server.core.keys import present_key
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import compile_expression
from fhir_server.search.extract import extract, primary_date
from fhir_server.search.paths import simple_paths, values_at
from fhir_server.search.plan import compile_params
from tests.shared_data import examples, needs_shared

BASE = "https://salam.example/t/a/fhir"


def params_of(resource_type: str) -> list[SearchParam]:
    return [
        param
        for code, param in base_registry().search_params(resource_type).items()
        if param.expression and code not in ("_id", "_lastUpdated")
    ]


def test_every_base_search_parameter_compiles() -> None:
    registry = base_registry()
    for resource_type in registry.resource_types:
        params = params_of(resource_type)
        assert params
        for param in params:
            assert compile_params(resource_type, [param], registry), f"{resource_type}.{param.code} gives no rows"


def test_most_expressions_are_simple_paths() -> None:
    registry = base_registry()
    slow = {
        part
        for resource_type in registry.resource_types
        for param in params_of(resource_type)
        for part in split_union(param.expression)
        if simple_paths(part, resource_type, registry) is None
    }
    # What a receptionist finds patients by: parts of names and digits of phone numbers.
    lookup = set(split_union(registry.search_params("Patient")["lookup"].expression)) - {"Patient.identifier.value"}
    assert slow == {"Bundle.entry[0].resource", "Patient.deceased.exists() and Patient.deceased != false", *lookup}


def test_primary_dates_are_date_parameters() -> None:
    registry = base_registry()
    named = [name for name in registry.resource_types if primary_date(name)]
    assert len(named) > 50
    for name in named:
        assert registry.search_params(name)[primary_date(name) or ""].type == "date"


def disagreements(resource: dict[str, Any]) -> list[str]:
    """Alternatives whose fast paths select other values than the FHIRPath compiler does."""
    registry, resource_type = base_registry(), resource["resourceType"]
    found = []
    for param in params_of(resource_type):
        for part in split_union(param.expression):
            paths = simple_paths(part, resource_type, registry)
            if paths is None or "resolve()" in part:
                continue
            fast = [(path.type, value) for path in paths for value in values_at(resource, path.steps)]
            nodes = compile_expression(part, resource_type, registry)(resource)
            slow = [(kind, value) for kind, value, _ in nodes if value is not None]
            if sorted(map(repr, fast)) != sorted(map(repr, slow)):
                found.append(f"{param.code}: {part}")
    return found


@needs_shared
def test_examples_agree_with_generic_evaluation() -> None:
    count = 0
    for file, text in examples():
        resource = decode(text)
        assert disagreements(resource) == [], file
        count += 1
    assert count > 200


@needs_shared
def test_examples_are_extracted_and_present_where_an_expression_has_a_value() -> None:
    registry = base_registry()
    for file, text in examples():
        resource = decode(text)
        resource_type = resource["resourceType"]
        rows = extract(registry, resource, BASE)
        assert set(rows.tokens) <= set(rows.keys)
        assert all(lo < hi for _, lo, hi in rows.dates), file
        assert all(lo <= hi for _, _, lo, hi in rows.quantities), file
        for param in params_of(resource_type):
            if param.type == "composite" or param.parts or "resolve()" in param.expression:
                continue
            nodes = compile_expression(param.expression, resource_type, registry)(resource)
            has_value = any(value is not None for _, value, _ in nodes)
            present = present_key(resource_type, param.code) in rows.keys
            assert present == has_value, f"{file}: {param.code}"


def test_the_comparison_finds_a_wrong_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.search.test_extract_examples.values_at", lambda element, steps: ["other"])
    assert disagreements({"resourceType": "Patient", "gender": "male"})
