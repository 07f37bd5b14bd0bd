"""Structures of the resources and data types: what StructureDefinition snapshots say, by JSON name.

https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant. `severity` is error or warning; `expression` is FHIRPath on the element that carries it."""

    key: str
    severity: str
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON property of a structure. A choice `value[x]` is one Element for each of its types.

    name: JSON name, `valueQuantity`. path: definition path, `Observation.value[x]`. type: FHIR type; for a backbone
    element the name of its own structure; a contentReference is resolved to the structure it points to; `Resource` for
    inline resources. max: None = any number. choice: `value` for `value[x]`. targets: resource types that a Reference
    or canonical may point to, () = any. binding: (strength, value set url). representation: "", xmlAttr or xhtml.
    constraints: invariants of this element alone, beyond those of its type's structure.
    """

    name: str
    path: str
    type: str
    min: int
    max: int | None
    choice: str | None
    targets: tuple[str, ...]
    binding: tuple[str, str] | None
    summary: bool
    modifier: bool
    representation: str
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource type, data type, primitive type or backbone element.

    kind: resource, complex-type, primitive-type or backbone. elements: by JSON name in definition order (a primitive
    type has id and extension only). choices: {"value": ("valueQuantity", ...)}. constraints: own and inherited.
    pattern: the regex of a primitive type's text.
    """

    name: str
    kind: str
    base: str | None
    abstract: bool
    elements: Mapping[str, Element]
    choices: Mapping[str, tuple[str, ...]]
    constraints: tuple[Constraint, ...]
    pattern: str | None


def load_structures(compiled: dict[str, Any]) -> dict[str, Structure]:
    """Structures by name from the compiled form (see `profiles/compile_r4.py`)."""
    table = tuple(Constraint(*row) for row in compiled["constraints"])
    return {name: _structure(name, raw, table) for name, raw in compiled["structures"].items()}


def is_a(structures: Mapping[str, Structure], type_: str, ancestor: str) -> bool:
    """Whether a type is another one or derived from it."""
    structure = structures.get(type_)
    while type_ != ancestor:
        if structure is None or structure.base is None:
            return False
        type_ = structure.base
        structure = structures.get(type_)
    return True


def _structure(name: str, raw: dict[str, Any], table: tuple[Constraint, ...]) -> Structure:
    elements: dict[str, Element] = {}
    choices: dict[str, tuple[str, ...]] = {}
    for row in raw["elements"]:
        made = _elements(name, row, table)
        elements.update((element.name, element) for element in made)
        if made[0].choice:
            choices[made[0].choice] = tuple(element.name for element in made)
    return Structure(
        name, raw["kind"], raw["base"], raw["abstract"], elements, choices,
        tuple(table[i] for i in raw["constraints"]), raw.get("pattern"),
    )


def _elements(owner: str, row: list[Any], table: tuple[Constraint, ...]) -> list[Element]:
    name, types, minimum, maximum, binding, flags, representation, constraints = row
    choice = name[:-3] if name.endswith("[x]") else None
    path = f"{owner}.{name}"
    bound = (binding[0], binding[1]) if binding else None
    own = tuple(table[i] for i in constraints)
    return [
        Element(
            name if choice is None else f"{choice}{type_[0].upper()}{type_[1:]}", path, type_, minimum, maximum,
            choice, tuple(targets), bound, bool(flags & 1), bool(flags & 2), representation, own,
        )
        for type_, targets in types
    ]
