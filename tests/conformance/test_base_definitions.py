"""R4's own definitions and this server's, by url and by id, as resources."""

from collections import Counter

import pytest

from fhir_server.conformance import base_definitions
from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.interactions.shared_definitions import shared
from fhir_server.validation.run import check

NUMBERS = {
    "CodeSystem": 1062, "CompartmentDefinition": 5, "ConceptMap": 80, "OperationDefinition": 46,
    "SearchParameter": 1375, "StructureDefinition": 655, "ValueSet": 1316,
}  # fmt: skip
# Mistakes in R4: codes with two blanks; data types without a base; a contained value set that nothing names.
FAULTY = {
    "CodeSystem": {"v2-0550": 4},
    "StructureDefinition": {"Definition": 1, "Event": 1, "FiveWs": 1, "Request": 1},
    "ValueSet": {"nhin-purposeofuse": 1},
}


@pytest.mark.parametrize("resource_type", NUMBERS)
def test_all_are_valid_but_for_mistakes_of_r4(resource_type: str) -> None:
    faulty: Counter[str] = Counter()
    own = 0
    for id_, url in base_definitions.urls_of(resource_type).items():
        version = shared(resource_type, id_, 1)
        assert version is not None
        found = decode(version.body)
        assert (found["resourceType"], found["id"], found["url"]) == (resource_type, id_, url)
        faulty[id_] += sum(issue.severity == "error" for issue in check(base_registry(), found))
        own += base_definitions.is_own(resource_type, url)
    assert len(faulty) - own == NUMBERS[resource_type]
    assert {id_: count for id_, count in faulty.items() if count} == FAULTY.get(resource_type, {})


@pytest.mark.parametrize(
    ("canonical", "found"),
    [
        ("http://hl7.org/fhir/StructureDefinition/Patient", True),
        ("http://hl7.org/fhir/StructureDefinition/Patient|4.0.1", True),
        ("http://hl7.org/fhir/StructureDefinition/Patient|4.0", True),
        ("http://hl7.org/fhir/StructureDefinition/Patient|4", True),
        ("http://hl7.org/fhir/StructureDefinition/Patient|5.0.0", False),
        ("http://hl7.org/fhir/StructureDefinition/Patient#part", True),
        ("http://hl7.org/fhir/StructureDefinition/Nobody", False),
        ("urn:salam:StructureDefinition:price", True),
        ("Patient", False),
        ("", False),
    ],
)
def test_a_canonical_names_one(canonical: str, found: bool) -> None:
    assert (base_definitions.find("StructureDefinition", canonical) is not None) == found


def test_r4_writes_versions_into_some_urls() -> None:
    url = "http://terminology.hl7.org/CodeSystem/v2-0006"
    versions = {version: base_definitions.find("CodeSystem", f"{url}|{version}") for version in ("2.1", "2.4")}
    assert {version: found and found["id"] for version, found in versions.items()} == {
        "2.1": "v2-2.1-0006", "2.4": "v2-2.4-0006",
    }  # fmt: skip


@pytest.mark.parametrize(("resource_type", "id_"), [("Patient", "1"), ("StructureDefinition", ""), ("ValueSet", "x")])
def test_what_is_not_there(resource_type: str, id_: str) -> None:
    assert base_definitions.by_id(resource_type, id_) is None


def test_an_id_that_r4_has_taken_is_not_taken_again() -> None:
    own = base_definitions.find("OperationDefinition", "urn:salam:OperationDefinition:ValueSet-expand")
    core = base_definitions.by_id("OperationDefinition", "ValueSet-expand")
    assert own is not None
    assert core is not None
    assert (own["id"], core["url"].startswith("http://hl7.org/")) == ("salam-ValueSet-expand", True)
