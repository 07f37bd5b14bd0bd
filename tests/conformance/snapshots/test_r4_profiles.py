"""The snapshots that R4 publishes of its own profiles and extensions are those that are made of their differentials."""

import tarfile
from functools import cache
from typing import Any

import msgspec
import pytest

from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable
from tests.shared_data import needs_shared, shared_file

Definition = dict[str, Any]
Element = dict[str, Any]

# Profiles that break R4's own rules: (entries that are refused, why).
BROKEN = {
    "catalog": ((5,), "slices Composition.date, which cannot repeat, without saying by what"),
    "codesystem-history": ((7, 11, 15, 19), "forbids extensions within `revision`, and then slices them"),
    "familymemberhistory-genetic": (
        (4, 5, 9, 10, 11, 12, 13), "slices relationship, sex and condition without saying by what",
    ),
}  # fmt: skip
UNPUBLISHED = {"example-composition", "example-section-library"}
# Where a published snapshot is another one: profile, then what differs, and why.
DIFFERENT = {
    "bp": ({"ids", "slicing"}, "valueQuantity is a slice of value[x], except in the slices of this profile"),
    "elementdefinition-de": ({"ids"}, "its extensions are unfolded, though nothing is said about their elements"),
    "provenance-relevant-history": (
        {"binding", "contentReference"},
        "a slice lost the binding that its differential gives; a reference was moved to a slice of its target",
    ),
    **{
        name: ({"constraint"}, "the constraints of SimpleQuantity are repeated where the profile names it again")
        for name in ("cholesterol", "hdlcholesterol", "ldlcholesterol")
    },
}
FACTS = (
    "path", "sliceName", "min", "max", "type", "binding", "slicing", "mustSupport", "isModifier", "base",
    "contentReference",
)  # fmt: skip


@cache
def published() -> dict[str, Definition]:
    found = {}
    with tarfile.open(shared_file("fhir-r4/hl7.fhir.r4.core-4.0.1.tgz")) as archive:
        for member in archive:
            if member.name.rpartition("/")[2].startswith("StructureDefinition-"):
                handle = archive.extractfile(member)
                assert handle is not None
                definition = msgspec.json.decode(handle.read())
                found[definition["url"]] = definition
    return found


def find(resource_type: str, canonical: str) -> Definition | None:
    return published().get(canonical.partition("|")[0]) if resource_type == "StructureDefinition" else None


def facts(element: Element) -> dict[str, Any]:
    found = {name: element.get(name) for name in FACTS}
    found["constraint"] = {constraint["key"] for constraint in element.get("constraint", ())}
    return found | {name: value for name, value in element.items() if name.startswith(("fixed", "pattern"))}


def differences(made: list[Element], held: list[Element]) -> set[str]:
    found = set() if [e["id"] for e in made] == [e["id"] for e in held] else {"ids"}
    by_id = {element["id"]: facts(element) for element in held}
    for element in made:
        own, other = facts(element), by_id.get(element["id"])
        if other is not None:
            found |= {name for name in own.keys() | other.keys() if own.get(name) != other.get(name)}
    return found


def without_snapshot(definition: Definition) -> Definition:
    return {name: value for name, value in definition.items() if name != "snapshot"}


@needs_shared
def test_every_published_snapshot_is_made_again() -> None:
    profiles = [d for d in published().values() if d.get("derivation") == "constraint"]
    assert len(profiles) == 441
    found, broken = {}, {}
    for definition in profiles:
        try:
            made = snapshot_of(without_snapshot(definition), find)
        except Unprocessable as error:
            broken[definition["id"]] = tuple(
                int((issue.expression or "").partition("[")[2].rstrip("]")) for issue in error.issues
            )
            continue
        held = definition.get("snapshot", {}).get("element")
        if held and (other := differences(made, held)):
            found[definition["id"]] = other
    assert broken == {name: entries for name, (entries, _) in BROKEN.items()}
    assert found == {name: facts for name, (facts, _) in DIFFERENT.items()}
    assert {d["id"] for d in profiles if "snapshot" not in d} == UNPUBLISHED


@needs_shared
@pytest.mark.parametrize(
    ("change", "fact"),
    [({"min": 1}, "min"), ({"max": "7"}, "max"), ({"fixedCode": "x"}, "fixedCode"), ({"id": "Observation.x"}, "ids")],
)
def test_a_difference_would_be_seen(change: Element, fact: str) -> None:
    held = published()["http://hl7.org/fhir/StructureDefinition/vitalsigns"]["snapshot"]["element"]
    changed = [element | change if element["id"] == "Observation.note" else element for element in held]
    assert differences(changed, held) == {fact}
