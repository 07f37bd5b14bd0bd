"""Structures of R4 against facts read off the published pages. https://hl7.org/fhir/R4/resourcelist.html"""

import re

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.conformance.structures import Element, load_structures

STRUCTURES = base_registry().structures

# (structure, element, type, min, max, summary, modifier)
ELEMENTS = [
    ("Patient", "id", "id", 0, 1, True, False),
    ("Patient", "birthDate", "date", 0, 1, True, False),
    ("Patient", "active", "boolean", 0, 1, True, True),
    ("Patient", "contained", "Resource", 0, None, False, False),
    ("Patient", "contact", "Patient.contact", 0, None, False, False),
    ("Patient.link", "other", "Reference", 1, 1, True, False),
    ("Observation", "valueQuantity", "Quantity", 0, 1, True, False),
    ("Observation", "status", "code", 1, 1, True, True),
    ("Observation.component", "referenceRange", "Observation.referenceRange", 0, None, False, False),
    ("Questionnaire.item", "item", "Questionnaire.item", 0, None, False, False),
    ("Parameters.parameter", "part", "Parameters.parameter", 0, None, True, False),
    ("Bundle.entry", "resource", "Resource", 0, 1, True, False),
    ("Extension", "url", "uri", 1, 1, False, False),
    ("Extension", "valueMeta", "Meta", 0, 1, False, False),
    ("HumanName", "given", "string", 0, None, True, False),
    ("code", "id", "string", 0, 1, False, False),
]


def facts(row: tuple[str, str, str, int, int | None, bool, bool]) -> list[str]:
    """What of a row does not hold."""
    structure, name, type_, minimum, maximum, summary, modifier = row
    element = STRUCTURES[structure].elements[name]
    found = (element.type, element.min, element.max, element.summary, element.modifier)
    expected = (type_, minimum, maximum, summary, modifier)
    return [f"{name}: {a} is not {b}" for a, b in zip(found, expected, strict=True) if a != b]


@pytest.mark.parametrize("row", ELEMENTS, ids=lambda row: f"{row[0]}.{row[1]}")
def test_element(row: tuple[str, str, str, int, int | None, bool, bool]) -> None:
    assert facts(row) == []


def test_the_table_runner_sees_a_wrong_row() -> None:
    assert facts(("Patient", "birthDate", "dateTime", 0, 1, True, False)) == ["birthDate: date is not dateTime"]


def test_there_are_146_concrete_types_with_stable_numbers() -> None:
    registry = base_registry()
    assert len(registry.resource_types) == 146
    assert registry.type_ids["Account"] == 1
    assert registry.type_names[registry.type_ids["Patient"]] == "Patient"
    assert "DomainResource" not in registry.type_ids


def test_every_type_of_an_element_has_a_structure() -> None:
    for structure in STRUCTURES.values():
        for element in structure.elements.values():
            assert element.type in STRUCTURES, f"{element.path}: {element.type}"


def test_elements_stand_in_definition_order() -> None:
    names = list(STRUCTURES["Patient"].elements)
    assert names[:6] == ["id", "meta", "implicitRules", "language", "text", "contained"]
    assert names.index("deceasedBoolean") + 1 == names.index("deceasedDateTime") < names.index("address")


def test_choices_name_their_json_names() -> None:
    assert STRUCTURES["Patient"].choices["deceased"] == ("deceasedBoolean", "deceasedDateTime")
    assert len(STRUCTURES["Extension"].choices["value"]) == 50


def test_reference_targets() -> None:
    assert STRUCTURES["Patient.link"].elements["other"].targets == ("Patient", "RelatedPerson")
    assert STRUCTURES["Observation"].elements["focus"].targets == ()


def test_bindings_name_the_value_set_without_version() -> None:
    assert STRUCTURES["Patient"].elements["gender"].binding == (
        "required", "http://hl7.org/fhir/ValueSet/administrative-gender",
    )


def test_representations() -> None:
    assert STRUCTURES["HumanName"].elements["id"].representation == "xmlAttr"
    assert STRUCTURES["Extension"].elements["url"].representation == "xmlAttr"
    assert STRUCTURES["Narrative"].elements["div"].representation == "xhtml"
    assert STRUCTURES["Patient"].elements["id"].representation == ""


# Where an invariant must sit, and on what.
CONSTRAINTS = [
    ("Observation", "obs-6"), ("Observation", "dom-2"), ("Patient.contact", "pat-1"), ("Reference", "ref-1"),
    ("Extension", "ext-1"), ("Age", "age-1"), ("Age", "qty-3"), ("HumanName", "ele-1"), ("Bundle", "bdl-7"),
]


@pytest.mark.parametrize(("name", "key"), CONSTRAINTS)
def test_constraint_of_a_structure(name: str, key: str) -> None:
    assert key in {constraint.key for constraint in STRUCTURES[name].constraints}


def test_constraints_of_single_elements() -> None:
    assert [c.key for c in STRUCTURES["Organization"].elements["telecom"].constraints] == ["org-3"]
    high_low = STRUCTURES["Observation.referenceRange"].elements["low"]
    assert [c.key for c in high_low.constraints] == ["sqty-1"], "SimpleQuantity's own invariant"


def test_every_constraint_is_complete() -> None:
    for structure in STRUCTURES.values():
        for constraint in structure.constraints:
            assert constraint.severity in ("error", "warning")
            assert constraint.expression
            assert constraint.human


def test_patterns_of_primitives_compile() -> None:
    patterns = {s.name: s.pattern for s in STRUCTURES.values() if s.kind == "primitive-type"}
    assert len(patterns) == 20
    assert patterns.pop("xhtml") is None
    for name, pattern in patterns.items():
        assert pattern, name
        re.compile(pattern)


def test_primitives_have_no_value_element() -> None:
    assert list(STRUCTURES["boolean"].elements) == ["id", "extension"]


def test_a_compiled_choice_becomes_one_element_for_each_type() -> None:
    rows = [["value[x]", [["string", []], ["Reference", ["Patient"]]], 0, 1, None, 3, "", []]]
    raw = {"kind": "complex-type", "base": "Element", "abstract": False, "constraints": [], "elements": rows}
    made = load_structures({"constraints": [], "structures": {"Thing": raw}})["Thing"]
    assert made.choices == {"value": ("valueString", "valueReference")}
    assert made.elements["valueReference"] == Element(
        "valueReference", "Thing.value[x]", "Reference", 0, 1, "value", ("Patient",), None, True, True, "",
    )
