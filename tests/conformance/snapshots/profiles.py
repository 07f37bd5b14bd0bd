"""Profiles for tests: made of a few entries, on R4's own definitions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fhir_server.conformance import base_definitions
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable

Element = dict[str, Any]
Definition = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
HERE = "http://clinic.example/fhir/StructureDefinition/"
OPEN = {"discriminator": [{"type": "value", "path": "use"}], "rules": "open"}


def profile(*elements: Element, name: str = "visitor", base: str = "", type_: str = "") -> Definition:
    """A profile with these entries; its type is that of the first path."""
    type_ = type_ or (elements[0]["path"].partition(".")[0] if elements else "Patient")
    return {
        "resourceType": "StructureDefinition", "url": HERE + name, "name": name, "status": "active",
        "kind": "resource", "abstract": False, "type": type_, "baseDefinition": base or CORE + type_,
        "derivation": "constraint", "differential": {"element": list(elements)},
    }  # fmt: skip


class Known:
    """R4's definitions and some more."""

    def __init__(self, *definitions: Definition) -> None:
        self.definitions: Mapping[str, Definition] = {each["url"]: each for each in definitions}

    def __call__(self, resource_type: str, canonical: str) -> Definition | None:
        """As `Definitions.find`."""
        own = self.definitions.get(canonical.partition("|")[0]) if resource_type == "StructureDefinition" else None
        return own or base_definitions.find(resource_type, canonical)


def made(*elements: Element, known: Sequence[Definition] = (), **how: str) -> dict[str, Element]:
    """The snapshot of a profile with these entries, by element id."""
    snapshot = snapshot_of(profile(*elements, **how), Known(*known))
    return {element["id"]: element for element in snapshot}


def refused(*elements: Element, known: Sequence[Definition] = (), **how: str) -> list[tuple[int, str]]:
    """The entries that are refused, with the words; a profile that is accepted fails the test."""
    with pytest.raises(Unprocessable) as caught:
        made(*elements, known=known, **how)
    places = [re.fullmatch(r"StructureDefinition\.differential\.element\[(\d+)]", i.expression or "")
              for i in caught.value.issues]  # fmt: skip
    return [(int(place[1]), i.text) for place, i in zip(places, caught.value.issues, strict=True) if place]
