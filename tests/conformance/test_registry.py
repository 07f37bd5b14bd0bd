"""Operations, compartments, value sets and code systems of the base."""

import pytest

from fhir_server.conformance.definitions import read_definitions
from fhir_server.conformance.operations import load_operation
from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.registry import base_registry
from fhir_server.conformance.structures import load_structures
from tests.conformance.counted import calls

BASE = base_registry()
GENDER = "http://hl7.org/fhir/administrative-gender"
VALUE_SET = "http://hl7.org/fhir/ValueSet/"


def test_a_start_does_little_for_each_element() -> None:
    """Structures are loaded whole: some 30 ms as long as each of the 8,000 elements takes a few calls."""
    compiled = read_definitions("structures")
    with calls() as counted:
        structures = load_structures(compiled)
    assert 0 < counted() < 12 * sum(len(each.elements) for each in structures.values())


def test_operations_by_level() -> None:
    everything = BASE.operations["Patient", "everything"]
    assert (everything.system, everything.type, everything.instance) == (False, True, True)
    assert everything.affects_state is False
    assert set(everything.inputs()) == {"start", "end", "_since", "_type", "_count"}
    assert everything.outputs()["return"].type == "Bundle"
    assert (None, "everything") not in BASE.operations
    assert BASE.operations["Slot", "validate"].code == "validate"
    assert BASE.operations[None, "closure"].affects_state is True
    # Each of R4's is there as R4 has it, or as one of this server's that says what it adds to it.
    bases = {row["url"]: row.get("base", "") for row in own_definitions("operations")}
    urls = {bases.get(operation.url) or operation.url for operation in BASE.operations.values()}
    assert len([url for url in urls if url.startswith("http://hl7.org/fhir/")]) == 46
    assert BASE.operations["Patient", "break-glass"].affects_state is True


def test_nested_operation_parameters() -> None:
    parts = BASE.operations["CodeSystem", "lookup"].outputs()["property"].parts
    assert "value" in {part.name for part in parts}


def test_own_operation_definition_for_every_type() -> None:
    operation = load_operation(
        {"code": "x", "url": "http://clinic.example/x", "system": True, "type": True, "instance": False,
         "resource": ["Resource"], "parameter": [{"name": "n", "use": "in", "min": 1, "max": "*", "type": "code"}]},
        ("A", "B"),
    )
    assert operation.resource_types == ("A", "B")
    assert (operation.parameters[0].min, operation.parameters[0].max) == (1, None)


def test_compartments() -> None:
    assert set(BASE.compartments) == {"Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"}
    assert BASE.compartments["Patient"]["Observation"] == ("subject", "performer")
    assert BASE.compartments["Encounter"]["Encounter"] == ()
    assert "Location" not in BASE.compartments["Patient"]


def test_every_compartment_code_is_a_reference_parameter() -> None:
    for members in BASE.compartments.values():
        for resource_type, codes in members.items():
            for code in codes:
                assert BASE.search_params(resource_type)[code].type == "reference"


def test_codes_of_value_sets() -> None:
    assert BASE.codes(VALUE_SET + "administrative-gender|4.0.1") == {
        (GENDER, code) for code in ("male", "female", "other", "unknown")
    }
    assert BASE.codes("http://example.org/no-such") is None
    assert BASE.codes(VALUE_SET + "ucum-units") is None, "all of UCUM cannot be enumerated"


# (value set, a code inside, a code outside): hierarchy filter, import of value sets, several systems, concept list.
MEMBERS = [
    ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "AMB", "ACALC"),
    (VALUE_SET + "all-types", "Patient", "patient"),
    (VALUE_SET + "observation-status", "final", "finished"),
    (VALUE_SET + "languages", "en", "xx"),
    (VALUE_SET + "security-labels", "R", "nope"),
]


@pytest.mark.parametrize(("url", "inside", "outside"), MEMBERS, ids=lambda value: str(value).rsplit("/", 1)[-1])
def test_members(url: str, inside: str, outside: str) -> None:
    codes = {code for _, code in BASE.codes(url) or ()}
    assert inside in codes
    assert outside not in codes


def test_required_bindings_can_be_enumerated_except_the_external_ones() -> None:
    required = {
        element.binding[1] for structure in BASE.structures.values() for element in structure.elements.values()
        if element.binding and element.binding[0] == "required"
    }
    external = {url for url in required if BASE.codes(url) is None}
    assert external == {
        VALUE_SET + "currencies", VALUE_SET + "mimetypes", VALUE_SET + "ucum-units", "http://loinc.org/vs/LL379-9",
    }


def test_compact_definitions_keep_displays_and_drop_prose() -> None:
    system = BASE.code_system(GENDER + "|4.0.1")
    assert system is not None
    assert system["concept"][0] == {"code": "male", "display": "Male"}
    assert system["content"] == "complete"
    assert "description" not in system
    value_set = BASE.value_set(VALUE_SET + "administrative-gender")
    assert value_set is not None
    assert value_set["compose"]["include"] == [{"system": GENDER}]
    snomed = BASE.code_system("http://snomed.info/sct")
    assert snomed is not None
    assert snomed["content"] == "not-present"
    assert BASE.code_system("http://example.org/none") is None
