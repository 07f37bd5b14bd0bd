"""What keeps a StructureDefinition from being used. https://hl7.org/fhir/R4/structuredefinition.html"""

import tarfile
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fhir_server.conformance import base_definitions
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.structure_definitions import check_definition
from tests.conformance.snapshots.profiles import HERE, OPEN, Definition, Element, Known, profile
from tests.shared_data import needs_shared, shared_file
from tests.validation.profiles.kit import scope_of


def rule(expression: str, key: str = "v-1") -> dict[str, Any]:
    """A constraint."""
    return {"key": key, "severity": "error", "human": "Holds.", "expression": expression}


def said(definition: Definition, *known: Definition) -> list[tuple[str, str]]:
    """(place, words) of what is wrong, without `StructureDefinition.`."""
    return [
        ((issue.expression or "").partition(".")[2], issue.text)
        for issue in check_definition(definition, Known(definition, *known))
        if issue.severity == "error"
    ]


GOOD: dict[str, list[Element]] = {
    "a rule on the resource": [{"path": "Patient", "constraint": [rule("name.exists() or identifier.exists()")]}],
    "a rule on a data type": [{"path": "Patient.name", "constraint": [rule("family.exists()")]}],
    "a rule on a backbone": [{"path": "Patient.contact", "constraint": [rule("name.exists()")]}],
    "a rule on a primitive": [{"path": "Patient.birthDate", "constraint": [rule("$this <= today()")]}],
    "a rule on a choice": [{"path": "Patient.deceased[x]", "constraint": [rule("$this = true")]}],
    "a rule on an unfolded element": [{"path": "Patient.name.period", "constraint": [rule("start.exists()")]}],
    "a rule on a slice": [
        {"path": "Patient.name", "slicing": OPEN},
        {"path": "Patient.name", "sliceName": "official", "constraint": [rule("given.count() > 1")]},
    ],
    "a rule for people only": [{"path": "Patient.name", "constraint": [
        {"key": "v-1", "severity": "error", "human": "As on the card."}]}],
    "profiles that may come later": [
        {"path": "Patient.extension", "sliceName": "x", "type": [{"code": "Extension", "profile": [HERE + "later"]}]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_what_can_be_used(case: str) -> None:
    assert said(profile(*GOOD[case])) == []


BAD: dict[str, tuple[list[Element], str, str]] = {
    "an element that is not there": (
        [{"path": "Patient.nickname"}], "differential.element[0]", "there is no nickname here",
    ),
    "an expression that is none": (
        [{"path": "Patient", "constraint": [rule("name.where(")]}], "differential.element[0].constraint[0].expression",
        "The constraint v-1 cannot be used",
    ),
    "an expression about what is not there": (
        [{"path": "Patient.name", "constraint": [rule("family.exists()"), rule("nickname.exists()", "v-2")]}],
        "differential.element[0].constraint[1].expression", "The constraint v-2 cannot be used",
    ),
    "an unknown function": (
        [{"path": "Patient.contact", "constraint": [rule("name.rhymes()")]}],
        "differential.element[0].constraint[0].expression", "cannot be used",
    ),
    "an unknown type": (
        [{"path": "Patient.extension.value[x]", "type": [{"code": "Mood"}]}], "differential.element[0]", "Mood",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_named(case: str) -> None:
    elements, place, words = BAD[case]
    [(where, text)] = said(profile(*elements))
    assert where == place
    assert words in text


def test_an_unknown_type_of_a_model() -> None:
    model = profile({"path": "Visit"}, {"path": "Visit.mood", "type": [{"code": "Mood"}]}, base="", type_=HERE + "Visit")
    model |= {"derivation": "specialization", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Element"}
    assert said(model) == [("differential.element[1].type[0].code", "The type Mood is not known here.")]


BASES: dict[str, Callable[[], tuple[list[Definition], str]]] = {
    "unknown": lambda: ([profile(base=HERE + "gone")], "is not known here: store it first"),
    "itself": lambda: ([profile(base=HERE + "visitor")], "go in a circle"),
    "each other": lambda: (
        [profile(base=HERE + "b"), profile(name="b", base=HERE + "visitor")],
        f"go in a circle: {HERE}visitor stands on {HERE}b stands on {HERE}visitor",
    ),
    "too many": lambda: (
        [profile(base=HERE + "0"), *(profile(name=str(n), base=f"{HERE}{n + 1}") for n in range(50))],
        "More than 20 definitions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("with_snapshot", [False, True])
@pytest.mark.parametrize("case", BASES)
def test_bases_are_known_and_end(case: str, with_snapshot: bool) -> None:
    definitions, words = BASES[case]()
    if with_snapshot:
        held = {"element": [{"id": "Patient", "path": "Patient", "min": 0, "max": "*"}]}
        definitions = [{**definition, "snapshot": held} for definition in definitions]
    [(where, text)] = said(*definitions)
    assert where == "baseDefinition"
    assert words in text


def test_a_snapshot_that_is_given_is_what_counts() -> None:
    elements = [{"id": path, "path": path, "min": 0, "max": "*"} for path in ("Patient", "Patient.name")]
    given = profile({"path": "Patient.nickname"}) | {"snapshot": {"element": elements}}
    assert said(given) == []
    assert said({**given, "snapshot": {"element": elements[::-1]}}) == [
        ("snapshot", "The elements of the snapshot do not stand in order.")
    ]


def test_constraints_are_not_endless() -> None:
    rules = [rule(f"name.count() < {n}", f"v-{n}") for n in range(1001)]
    assert said(profile({"path": "Patient", "constraint": rules[1:]})) == []
    [(_, text)] = said(profile({"path": "Patient", "constraint": rules}))
    assert "at most 1,000 constraints" in text
    wrong = [rule("nickname.exists()", f"v-{n}") for n in range(1000)]
    assert len(said(profile({"path": "Patient", "constraint": wrong}))) == 50


@needs_shared
def test_of_r4s_own_two_cannot_be_used() -> None:
    found = {}
    with tarfile.open(shared_file("fhir-r4/hl7.fhir.r4.core-4.0.1.tgz")) as archive:
        for member in archive:
            handle = archive.extractfile(member)
            if handle is not None and member.name.rpartition("/")[2].startswith("StructureDefinition-"):
                definition = msgspec.json.decode(handle.read())
                found[definition["id"]] = [issue.text for issue in check_definition(definition, base_definitions.find)]
    assert len(found) == 655
    # Constraints whose expressions name what the type does not have.
    assert {name for name, issues in found.items() if issues} == {
        "ChargeItemDefinition", "allergyintolerance-substanceExposureRisk",
    }  # fmt: skip


def with_snapshot(**changed: Any) -> Definition:
    """A definition that brings a snapshot, with changes of Patient.contact; None takes a property away."""
    definition = profile({"path": "Patient", "short": "Whoever"})
    elements = [
        {name: value for name, value in (element | changed).items() if value is not None}
        if element["id"] == "Patient.contact" else element
        for element in snapshot_of(definition, Known())
    ]  # fmt: skip
    return {name: value for name, value in definition.items() if name != "differential"} | {"snapshot": {"element": elements}}


UNSOUND: list[tuple[str, dict[str, Any], str]] = [
    ("a long max", {"max": "9" * 5000}, ".max"), ("a max that is no number", {"max": "x"}, ".max"),
    ("a max below zero", {"max": "-1"}, ".max"), ("no id", {"id": None}, ".id"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "changed", "place"), UNSOUND, ids=[row[0] for row in UNSOUND])
def test_snapshots_that_the_engine_could_not_use(what: str, changed: dict[str, Any], place: str) -> None:
    """R4's invariants forbid them; where those are not enforced, nobody may fall over them."""
    definition = with_snapshot(**changed)
    assert [found.endswith(place) for found, _ in said(definition)] == [True]
    if "id" not in changed:
        with pytest.raises(Unprocessable):
            profile_issues(scope_of(definition), {"resourceType": "Patient"}, definition["url"])


@pytest.mark.parametrize("target", ["#Patient.contact", "#Patient"])
def test_content_that_leads_to_itself(target: str) -> None:
    definition = with_snapshot()
    elements = [each for each in definition["snapshot"]["element"] if not each["id"].startswith("Patient.contact.")]
    elements = [{**each, "contentReference": target} if each["id"] == "Patient.contact" else each for each in elements]
    definition["snapshot"] = {"element": elements}
    assert [place.endswith(".contentReference") for place, _ in said(definition)] == [True]
    with pytest.raises(Unprocessable):
        profile_issues(scope_of(definition), {"resourceType": "Patient"}, definition["url"])
