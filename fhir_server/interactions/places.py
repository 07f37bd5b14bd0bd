"""Where in a resource the nodes of a FHIRPath result stand."""

from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Structure
from fhir_server.fhirpath import Node


@dataclass(frozen=True, slots=True)
class Place:
    """steps: (property, index in its list or None) from the resource down; () is the resource itself."""

    steps: tuple[tuple[str, int | None], ...]

    def parent(self) -> "Place":
        """The place of the object that holds this one."""
        return Place(self.steps[:-1])

    def value(self, resource: dict[str, Any]) -> Any:
        """What stands here. For a primitive that has the object beside it (`_name`) in mind, that object."""
        at: Any = resource
        for name, index in self.steps:
            value = at.get(name)
            if not isinstance(value[0] if isinstance(value, list) and value else value, dict):
                value = _sibling(at, name, index)
                at = value
                continue
            at = value if index is None else value[index]
        return at

    def structure(self, resource: dict[str, Any], registry: Registry) -> Structure:
        """The structure of the object that stands here; `Element` for the one beside a primitive."""
        structure = registry.structures[resource["resourceType"]]
        at: Any = resource
        for name, index in self.steps:
            element = structure.elements[name]
            structure = registry.structures[element.type]
            at = at.get(name)
            at = at[index] if index is not None and isinstance(at, list) else at
            if structure.kind == "resource":
                structure = registry.structures[at["resourceType"]]
            elif structure.kind == "primitive-type":
                structure, at = registry.structures["Element"], {}
        return structure


def _sibling(at: dict[str, Any], name: str, index: int | None) -> dict[str, Any]:
    """The object beside a primitive, made if there is none yet."""
    if index is None:
        found: dict[str, Any] = at.setdefault(f"_{name}", {})
        return found
    beside = at.setdefault(f"_{name}", [])
    beside.extend([None] * (index + 1 - len(beside)))
    if beside[index] is None:
        beside[index] = {}
    made: dict[str, Any] = beside[index]
    return made


class Shadow:
    """A copy of a resource in which every node can be recognised by the identity of an object of its own.

    Complex elements are objects anyway. A primitive is given its `_name` object where it has none: FHIRPath carries
    that along with the value, and an empty one changes no result.
    """

    def __init__(self, resource: dict[str, Any]) -> None:
        self._places: dict[int, Place] = {}
        self.root = self._object(resource, ())

    def place(self, node: Node) -> Place | None:
        """Where a node of a result on `root` stands; None for a computed value."""
        carrier = node[1] if isinstance(node[1], dict) else node[2]
        return self._places.get(id(carrier)) if carrier is not None else None

    def _object(self, value: dict[str, Any], steps: tuple[tuple[str, int | None], ...]) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        self._places[id(copied)] = Place(steps)
        # Every object stays alive in the copy, so that identities are not given twice.
        for key in value:
            name = key.removeprefix("_")
            if key != name and name in value:
                continue
            self._property(value, name, steps, copied)
        return copied

    def _property(
        self, value: dict[str, Any], name: str, steps: tuple[tuple[str, int | None], ...], copied: dict[str, Any]
    ) -> None:
        child, beside = value.get(name), value.get(f"_{name}")
        if isinstance(child, dict):
            copied[name] = self._object(child, (*steps, (name, None)))
        elif isinstance(child, list) and any(isinstance(item, dict) for item in child):
            copied[name] = [self._object(item, (*steps, (name, i))) for i, item in enumerate(child)]
        elif isinstance(child, list) or isinstance(beside, list):
            items, siblings = child or [], beside or []
            length = max(len(items), len(siblings))
            pad = [*siblings, *[None] * (length - len(siblings))]
            copied[name] = [*items, *[None] * (length - len(items))]
            copied[f"_{name}"] = [self._object(each or {}, (*steps, (name, i))) for i, each in enumerate(pad)]
        else:
            copied[name] = child
            copied[f"_{name}"] = self._object(beside or {}, (*steps, (name, None)))
