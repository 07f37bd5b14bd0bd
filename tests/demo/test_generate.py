"""The demo's records: deterministic, closed under references, and valid R4 as far as the structures say."""

import re
from collections import Counter
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode, encode
from fhir_server.demo.generate import generate


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def shape_errors(value: Any, type_name: str, path: str) -> list[str]:
    """Elements that the structure does not have, wrong cardinality and text against a primitive's pattern."""
    structure = base_registry().structures[type_name]
    if structure.kind == "primitive-type":
        pattern = structure.pattern
        return [path] if pattern and isinstance(value, str) and not re.fullmatch(pattern, value) else []
    found = [f"{path}.{e.name} is missing" for e in structure.elements.values()
             if e.min and not e.choice and e.name not in value]  # fmt: skip
    for name, inner in value.items():
        if name == "resourceType":
            continue
        element = structure.elements.get(name)
        if element is None:
            found.append(f"{path}.{name} is unknown")
            continue
        if isinstance(inner, list) == (element.max == 1):
            found.append(f"{path}.{name} repeats or not")
        for item in inner if isinstance(inner, list) else [inner]:
            found += shape_errors(item, element.type, f"{path}.{name}")
    return found


def test_the_same_seed_gives_the_same_records() -> None:
    assert encode(list(generate(7, 6))) == encode(list(generate(7, 6)))
    assert encode(list(generate(7, 3))) == encode(list(generate(7, 6))[:4])
    assert encode(list(generate(8, 3))[1]) != encode(list(generate(7, 3))[1])


def test_the_site_is_written_by_put_with_fixed_ids() -> None:
    site = next(generate(1, 0))
    assert {entry["request"]["method"] for entry in site["entry"]} == {"PUT"}
    urls = [entry["request"]["url"] for entry in site["entry"]]
    assert len(set(urls)) == len(urls)
    assert all(entry["request"]["url"].endswith(entry["resource"]["id"]) for entry in site["entry"])


def test_every_reference_has_its_target() -> None:
    bundles = list(generate(3, 25))
    site = {entry["request"]["url"] for entry in bundles[0]["entry"]}
    for bundle in bundles:
        known = site | {entry.get("fullUrl") for entry in bundle["entry"]}
        assert not [r for entry in bundle["entry"] for r in references(entry["resource"]) if r not in known]


def test_every_resource_has_the_shape_of_its_type() -> None:
    for bundle in generate(5, 20):
        for entry in decode(encode(bundle))["entry"]:
            resource = entry["resource"]
            assert shape_errors(resource, resource["resourceType"], resource["resourceType"]) == []


def test_the_shape_check_finds_a_bad_resource() -> None:
    bad = {"resourceType": "Patient", "name": {"family": "X"}, "nickname": "y", "birthDate": "21/11/2026"}
    assert len(shape_errors(bad, "Patient", "Patient")) == 3


def test_nobody_is_booked_twice() -> None:
    slots = [
        (entry["resource"]["schedule"]["reference"], entry["resource"]["start"])
        for bundle in generate(2, 120)
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Slot"
    ]
    assert len(set(slots)) == len(slots)


def test_a_record_is_varied() -> None:
    kinds = Counter(e["resource"]["resourceType"] for b in list(generate(1, 40))[1:] for e in b["entry"])
    assert {"Patient", "Encounter", "Observation", "Condition", "MedicationRequest", "AllergyIntolerance",
            "Appointment", "Slot"} <= set(kinds)  # fmt: skip
    assert kinds["Patient"] == 40
