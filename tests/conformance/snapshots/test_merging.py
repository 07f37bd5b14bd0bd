"""What an entry may say about its element. https://hl7.org/fhir/R4/elementdefinition.html#interpretation"""

import re
from typing import Any

import pytest

from fhir_server.conformance.snapshots import snapshot_of
from tests.conformance.snapshots.profiles import CORE, HERE, Element, Known, made, profile, refused

RULE = {"key": "v-1", "severity": "error", "human": "Has a family name.", "expression": "family.exists()"}


def one(path: str, **said: Any) -> Element:
    """The element of a profile with one entry."""
    return made({"path": path, **said})[path]


NARROWER: dict[str, tuple[str, Element, Element]] = {
    "min up": ("Patient.name", {"min": 1}, {"min": 1, "max": "*"}),
    "max down": ("Patient.name", {"max": "3"}, {"min": 0, "max": "3"}),
    "forbidden": ("Patient.photo", {"max": "0"}, {"max": "0"}),
    "the same as the base": ("Patient.gender", {"min": 0, "max": "1"}, {"min": 0, "max": "1"}),
    "one type of a choice": ("Patient.deceased[x]", {"type": [{"code": "boolean"}]}, {"type": [{"code": "boolean"}]}),
    "a kind of the base's type": (
        "Bundle.entry.resource", {"type": [{"code": "Patient"}]}, {"type": [{"code": "Patient"}]},
    ),
    "one target": (
        "Patient.generalPractitioner",
        {"type": [{"code": "Reference", "targetProfile": [CORE + "Practitioner"]}]},
        {"type": [{"code": "Reference", "targetProfile": [CORE + "Practitioner"]}]},
    ),
    "targets that are not said again stay": (
        "Patient.managingOrganization",
        {"type": [{"code": "Reference", "aggregation": ["referenced"]}]},
        {"type": [{"code": "Reference", "targetProfile": [CORE + "Organization"], "aggregation": ["referenced"]}]},
    ),
    "a profile of a target": (
        "Observation.hasMember",
        {"type": [{"code": "Reference", "targetProfile": [CORE + "vitalsigns"]}]},
        {"type": [{"code": "Reference", "targetProfile": [CORE + "vitalsigns"]}]},
    ),
    "the string that an id is": ("Patient.id", {"type": [{"code": "string"}]}, {"type": [{"code": "string"}]}),
    "fixed": ("Patient.active", {"fixedBoolean": True}, {"fixedBoolean": True}),
    "pattern": (
        "Patient.maritalStatus", {"patternCodeableConcept": {"text": "single"}},
        {"patternCodeableConcept": {"text": "single"}},
    ),
    "must support": ("Patient.name", {"mustSupport": True}, {"mustSupport": True}),
    "a stronger binding": (
        "Patient.maritalStatus",
        {"binding": {"strength": "required", "valueSet": "http://clinic.example/ValueSet/m"}},
        {"binding": {"strength": "required", "valueSet": "http://clinic.example/ValueSet/m"}},
    ),
    "a binding keeps its value set": (
        "Patient.maritalStatus", {"binding": {"strength": "required"}},
        {"binding": {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/marital-status"}},
    ),
    "values": ("Patient.birthDate", {"minValueDate": "1900-01-01"}, {"minValueDate": "1900-01-01"}),
    "length": ("Patient.language", {"maxLength": 5}, {"maxLength": 5}),
    "a text": ("Patient.gender", {"short": "As on the card"}, {"short": "As on the card"}),
    "meaning when missing": ("Patient.active", {"meaningWhenMissing": "true"}, {"meaningWhenMissing": "true"}),
    "base": ("Patient.active", {"min": 1}, {"base": {"path": "Patient.active", "min": 0, "max": "1"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", NARROWER)
def test_what_is_narrower_is_taken_over(case: str) -> None:
    path, said, held = NARROWER[case]
    element = one(path, **said)
    assert {name: element.get(name) for name in held} == held


WIDER: dict[str, tuple[str, Element, str]] = {
    "min down": ("Observation.status", {"min": 0}, "min 0 is less than the base's 1"),
    "max up": ("Patient.gender", {"max": "*"}, r"max \* is more than the base's 1"),
    "min over max": ("Patient.gender", {"min": 2}, "min 2 is more than max 1"),
    "no max": ("Patient.gender", {"max": "many"}, r"a whole number or \*"),
    "another type": ("Patient.deceased[x]", {"type": [{"code": "Period"}]}, "Period is not one of the base's"),
    "another target": (
        "Patient.managingOrganization",
        {"type": [{"code": "Reference", "targetProfile": [CORE + "Patient"]}]}, "not one of the base's .Organization.",
    ),
    "a type for a content reference": (
        "Observation.component.referenceRange", {"type": [{"code": "string"}]}, "leave `type` out",
    ),
    "a weaker binding": ("Patient.gender", {"binding": {"strength": "example"}}, "required in the base"),
    "no strength": ("Patient.gender", {"binding": {"strength": "mild"}}, "cannot become mild"),
    "no modifier any more": ("Patient.active", {"isModifier": False}, "isModifier is true in the base"),
    "two fixed values": ("Patient.deceased[x]", {"fixedBoolean": True, "fixedDateTime": "2026"}, "one fixed"),
    "fixed and another kind of pattern": (
        "Patient.deceased[x]", {"patternBoolean": True, "patternDateTime": "2026"}, "one pattern",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDER)
def test_what_is_wider_is_refused_and_named(case: str) -> None:
    path, said, words = WIDER[case]
    [(index, text)] = refused({"path": path, **said})
    assert index == 0
    assert text.startswith(f"{path}: ")
    assert re.search(words, text), text


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = refused(
        {"path": "Patient.nickname"}, {"path": "Patient.name", "min": 1}, {"path": "Patient.gender", "max": "2"}
    )
    assert [index for index, _ in found] == [0, 2]


STANDARD = profile(
    {"path": "Patient.language", "maxLength": 5},
    {"path": "Patient.name", "min": 1, "max": "2", "mustSupport": True, "definition": "Names.", "constraint": [RULE]},
    {"path": "Patient.gender", "fixedCode": "female"},
    {"path": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"system": "http://m"}]}},
    name="standard",
)


def derived(**said: Any) -> Element:
    return made({**said}, known=[STANDARD], base=STANDARD["url"])[said["path"]]


def test_a_profile_of_a_profile_begins_where_that_one_ends() -> None:
    name = derived(path="Patient.name", max="1")
    assert (name["min"], name["max"], name["mustSupport"]) == (1, "1", True)
    assert derived(path="Patient.birthDate")["min"] == 0


def test_three_points_go_on_with_the_text_of_the_base() -> None:
    assert derived(path="Patient.name", definition="...As on the card.")["definition"] == "Names.\nAs on the card."
    assert derived(path="Patient.name", definition="As on the card.")["definition"] == "As on the card."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"path": "Patient.name", "mustSupport": False}, "mustSupport is true in the base"),
        ({"path": "Patient.gender", "fixedCode": "male"}, "fixedCode is given by the base"),
        ({"path": "Patient.maritalStatus", "patternCodeableConcept": {"text": "x"}}, "has to contain it"),
        ({"path": "Patient.maritalStatus", "fixedCodeableConcept": {"text": "x"}}, "has to contain it"),
        ({"path": "Patient.language", "maxLength": 9}, "maxLength 9 is more than the base's 5"),
        ({"path": "Patient.name", "constraint": [RULE | {"expression": "given.exists()"}]}, "rename yours"),
    ],
)
def test_what_a_profile_says_its_profiles_cannot_take_back(said: Element, words: str) -> None:
    [(_, text)] = refused(said, known=[STANDARD], base=STANDARD["url"])
    assert words in text


@pytest.mark.parametrize("kind", ["pattern", "fixed"])
def test_a_pattern_can_be_added_to(kind: str) -> None:
    fuller = {"coding": [{"system": "http://m", "code": "S"}], "text": "single"}
    assert derived(path="Patient.maritalStatus", **{f"{kind}CodeableConcept": fuller})[f"{kind}CodeableConcept"] == fuller


def test_constraints_are_added_once_with_their_source() -> None:
    name = one("Patient.name", constraint=[RULE])
    assert name["constraint"][-1] == {**RULE, "source": HERE + "visitor"}
    again = derived(path="Patient.name", constraint=[RULE])
    assert [c["key"] for c in again["constraint"]].count("v-1") == 1
    assert again["constraint"][-1]["source"] == STANDARD["url"]


def test_lists_are_added_to() -> None:
    mapping = {"identity": "card", "map": "line 1"}
    assert one("Patient.name", mapping=[mapping], alias=["Nom"], condition=["v-1"])["mapping"][-1] == mapping
    assert "v-1" in one("Observation.value[x]", condition=["v-1"])["condition"]


def test_extensions_of_an_element_replace_those_of_the_same_url() -> None:
    hint = "http://hl7.org/fhir/StructureDefinition/structuredefinition-display-hint"
    status = one("Observation.status", extension=[{"url": hint, "valueString": "hide"}])
    assert [e["valueString"] for e in status["extension"] if e["url"] == hint] == ["hide"]


def test_a_new_data_type_or_model_adds_elements() -> None:
    visit = profile(
        {"path": "Visit", "short": "A visit"},
        {"path": "Visit.reason", "min": 1, "max": "1", "type": [{"code": "CodeableConcept"}]},
        {"path": "Visit.reason.text", "min": 1},
        {"path": "Visit.part", "min": 0, "max": "*", "type": [{"code": "BackboneElement"}]},
        {"path": "Visit.part.note", "min": 0, "max": "1", "type": [{"code": "string"}]},
        base=CORE + "Element", type_=HERE + "Visit",
    ) | {"derivation": "specialization", "kind": "logical"}  # fmt: skip
    elements = {e["id"]: e for e in snapshot_of(visit, Known())}
    assert elements["Visit.part.note"]["base"] == {"path": "Visit.part.note", "min": 0, "max": "1"}
    assert elements["Visit.reason.text"]["min"] == 1
    assert "Visit.id" in elements
