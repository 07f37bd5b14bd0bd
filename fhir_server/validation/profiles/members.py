"""The items of one element in an object, whatever JSON form they have: lists, `_name` siblings, choices, resources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.fhirpath import Node
from fhir_server.validation.walk import Path

# (object, its place) -> items with their places.
Collect = Callable[[Mapping[str, Any], Path], "list[tuple[Node, Path]]"]


def elements_of(structure: Structure, name: str) -> list[Element]:
    """The JSON properties of `name`, `value[x]` or `valueQuantity` in a structure; none when it has no such element."""
    if name.endswith("[x]"):
        return [structure.elements[each] for each in structure.choices.get(name[:-3], ())]
    found = structure.elements.get(name)
    return [structure.elements[each] for each in structure.choices.get(name, ())] if found is None else [found]


def properties(registry: Registry, elements: Sequence[Element]) -> frozenset[str]:
    """The names in JSON under which the items of an element can stand."""
    beside = (f"_{e.name}" for e in elements if registry.structures[e.type].kind == "primitive-type")
    return frozenset({e.name for e in elements} | set(beside))


def collector(registry: Registry, elements: Sequence[Element]) -> Collect:
    """What finds the items of an element."""
    if len(elements) == 1:
        return _single(registry, elements[0])
    table = {name: _single(registry, each) for each in elements for name in properties(registry, [each])}

    def collect(owner: Mapping[str, Any], path: Path) -> list[tuple[Node, Path]]:
        # Of a choice one type is there at most.
        for key in owner:
            found = table.get(key)
            if found is not None:
                return found(owner, path)
        return []

    return collect


def _single(registry: Registry, element: Element) -> Collect:
    name, type_, shown = element.name, element.type, element.choice or element.name
    kind = registry.structures[type_].kind
    if kind == "primitive-type":
        return _primitive(name, type_, shown)
    inline = kind == "resource"

    def collect(owner: Mapping[str, Any], path: Path) -> list[tuple[Node, Path]]:
        value = owner.get(name)
        if value is None:
            return []
        if type(value) is not list:
            return [((value["resourceType"] if inline else type_, value, None), (path, shown, None))]
        if inline:
            return [((each["resourceType"], each, None), (path, shown, i)) for i, each in enumerate(value)]
        return [((type_, each, None), (path, shown, i)) for i, each in enumerate(value)]

    return collect


def _primitive(name: str, type_: str, shown: str) -> Collect:
    beside = f"_{name}"

    def collect(owner: Mapping[str, Any], path: Path) -> list[tuple[Node, Path]]:
        value, sibling = owner.get(name), owner.get(beside)
        if value is None and sibling is None:
            return []
        if type(value) is not list and type(sibling) is not list:
            return [((type_, value, sibling), (path, shown, None))]
        values, siblings = value or (), sibling or ()
        return [
            (
                (type_, values[i] if i < len(values) else None, siblings[i] if i < len(siblings) else None),
                (path, shown, i),
            )
            for i in range(max(len(values), len(siblings)))
        ]

    return collect
