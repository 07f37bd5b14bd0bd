"""FHIRPath Patch: a Parameters resource of operations on places that FHIRPath names.

https://hl7.org/fhir/R4/fhirpatch.html
"""

import copy
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import FhirError, Invalid, Unprocessable
from fhir_server.fhirpath import Nodes, compile_expression, compile_parent
from fhir_server.interactions.patch_json import without_hollows
from fhir_server.interactions.patch_values import Value, element_value, value_of
from fhir_server.interactions.places import Place, Shadow
from fhir_server.validation.run import validate

_PROTECTED = frozenset({"id", "resourceType"})


def apply_fhirpath_patch(resource: dict[str, Any], parameters: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """The resource after all operations, in order; neither input is changed.

    Lists and objects that become empty are removed. Raises `Invalid` for a malformed operation, `Unprocessable` for
    one that cannot be applied; both name `Parameters.parameter[index]`.
    """
    validate(registry, parameters, expected_type="Parameters")
    patched = copy.deepcopy(resource)
    for index, parameter in enumerate(parameters.get("parameter", ())):
        try:
            _Operation(patched, parameter, registry).apply()
        except FhirError as error:
            raise error.within(f"Parameters.parameter[{index}]") from None
        without_hollows(patched)
    return patched


class _Operation:
    """One operation on the resource, which it changes in place."""

    def __init__(self, resource: dict[str, Any], parameter: dict[str, Any], registry: Registry) -> None:
        if parameter.get("name") != "operation":
            raise Invalid("Every parameter of a FHIRPath Patch is named 'operation'.", expression="name")
        self.resource = resource
        self.type: str = resource["resourceType"]
        self.registry = registry
        self.parts = {part.get("name"): part for part in parameter.get("part", ())}

    def apply(self) -> None:
        """Carry out the operation. Raises `Invalid` or `Unprocessable`."""
        run = _OPERATIONS.get(self._text("type"))
        if run is None:
            raise Invalid(f"'type' is one of {', '.join(_OPERATIONS)}.", expression="part.where(name='type')")
        run(self)

    def add(self) -> None:
        """A new element `name` in the one that `path` leads to; at the end of a list."""
        name = self._text("name")
        place = self._one(self._evaluate(self._text("path")))
        structure = self._structure(place)
        element, value = self._value(structure, name)
        parent = place.value(self.resource)
        if element.max == 1:
            present = structure.choices.get(name, (name,))
            if any(each in parent or f"_{each}" in parent for each in present):
                raise Unprocessable(f"'{name}' is there already and can be there only once; use replace.")
            _set(parent, element.name, None, value)
        else:
            _insert(parent, element.name, _length(parent, element.name), value)

    def insert(self) -> None:
        """A new item of the list that `path` names, at `index`."""
        parent, structure, name = self._list()
        element, value = self._value(structure, name)
        index = self._integer("index")
        if element.max == 1:
            raise Unprocessable(f"'{name}' is no list; use add.")
        if not 0 <= index <= _length(parent, name):
            raise Unprocessable("'index' is outside the list.", expression="part.where(name='index')")
        _insert(parent, name, index, value)

    def delete(self) -> None:
        """Remove the one element that `path` leads to; that there is none is no error."""
        found = self._evaluate(self._text("path"))
        if not found[0]:
            return
        place = self._one(found)
        parent, name, index = self._held(place)
        if index is None:
            parent.pop(name, None)
            parent.pop(f"_{name}", None)
        else:
            for items in _lists(parent, name):
                del items[index]

    def replace(self) -> None:
        """Put `value` in the stead of the one element that `path` leads to."""
        place = self._one(self._evaluate(self._text("path")))
        parent, name, index = self._held(place)
        structure = self._structure(place.parent())
        old = structure.elements.get(name)
        element, value = self._value(structure, old.choice if old and old.choice else name)
        if index is None:
            parent.pop(name, None)
            parent.pop(f"_{name}", None)
        _set(parent, element.name, index, value)

    def move(self) -> None:
        """Take the item at `source` of the list that `path` names to `destination`."""
        parent, _, name = self._list()
        source, destination = self._integer("source"), self._integer("destination")
        for what, at in (("source", source), ("destination", destination)):
            if not 0 <= at < _length(parent, name):
                raise Unprocessable(f"'{what}' is outside the list.", expression=f"part.where(name='{what}')")
        for items in _lists(parent, name):
            items.insert(destination, items.pop(source))

    def _part(self, name: str) -> dict[str, Any]:
        part: dict[str, Any] | None = self.parts.get(name)
        if part is None:
            raise Invalid(f"The operation needs a part '{name}'.", expression="part", code="required")
        return part

    def _text(self, name: str) -> str:
        value = value_of(self._part(name))
        if not isinstance(value.json, str):
            raise Invalid(f"'{name}' must be a string.", expression=f"part.where(name='{name}')", code="value")
        return value.json

    def _integer(self, name: str) -> int:
        value = value_of(self._part(name)).json
        if type(value) is not int:
            raise Invalid(f"'{name}' must be an integer.", expression=f"part.where(name='{name}')", code="value")
        return value

    def _value(self, structure: Structure, name: str) -> tuple[Element, Value]:
        """The element that `name` and the type of the value mean, and the value in its form."""
        if name not in structure.choices and name not in structure.elements:
            near = get_close_matches(name, [*structure.choices, *structure.elements], 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise Unprocessable(f"There is no element '{name}' in {structure.name}.{hint}", code="structure")
        if structure.kind == "resource" and name in _PROTECTED:
            raise Unprocessable("A patch cannot change the id of a resource.")
        return element_value(self.registry, structure, name, self._part("value"))

    def _evaluate(self, path: str) -> tuple[Nodes, Shadow]:
        shadow = Shadow(self.resource)
        return compile_expression(path, self.type, self.registry)(shadow.root), shadow

    def _one(self, found: tuple[Nodes, Shadow]) -> Place:
        nodes, shadow = found
        if len(nodes) != 1:
            raise Unprocessable(f"'path' must lead to one element, but leads to {len(nodes)}.", expression=_PATH)
        place = shadow.place(nodes[0])
        if place is None:
            raise Unprocessable("'path' does not lead to an element of the resource.", expression=_PATH)
        return place

    def _held(self, place: Place) -> tuple[dict[str, Any], str, int | None]:
        """The object that holds the element at a place, its property and its index."""
        if not place.steps:
            raise Unprocessable("A patch cannot remove or replace the whole resource.", expression=_PATH)
        name, index = place.steps[-1]
        if len(place.steps) == 1 and name in _PROTECTED:
            raise Unprocessable("A patch cannot change the id of a resource.", expression=_PATH)
        return place.parent().value(self.resource), name, index

    def _list(self) -> tuple[dict[str, Any], Structure, str]:
        """The object, its structure and the property of the list that `path` names, which may not be there yet."""
        parent, name = compile_parent(self._text("path"), self.type, self.registry)
        shadow = Shadow(self.resource)
        place = self._one((parent(shadow.root), shadow))
        return place.value(self.resource), self._structure(place), name

    def _structure(self, place: Place) -> Structure:
        return place.structure(self.resource, self.registry)


_PATH = "part.where(name='path')"

_OPERATIONS: dict[str, Callable[[_Operation], None]] = {
    "add": _Operation.add,
    "insert": _Operation.insert,
    "delete": _Operation.delete,
    "replace": _Operation.replace,
    "move": _Operation.move,
}


def _lists(parent: dict[str, Any], name: str) -> list[list[Any]]:
    """The list and, for a primitive with extensions, the list of siblings, both of one length."""
    found = [parent[key] for key in (name, f"_{name}") if isinstance(parent.get(key), list)]
    longest = max(map(len, found), default=0)
    for items in found:
        items.extend([None] * (longest - len(items)))
    return found


def _length(parent: dict[str, Any], name: str) -> int:
    return max((len(items) for items in _lists(parent, name)), default=0)


def _insert(parent: dict[str, Any], name: str, index: int, value: Value) -> None:
    length = _length(parent, name)
    for key, item in ((name, value.json), (f"_{name}", value.sibling)):
        if item is not None and not isinstance(parent.get(key), list):
            parent[key] = [None] * length
        if isinstance(parent.get(key), list):
            parent[key].insert(index, item)


def _set(parent: dict[str, Any], name: str, index: int | None, value: Value) -> None:
    if index is None:
        for key, item in ((name, value.json), (f"_{name}", value.sibling)):
            if item is not None:
                parent[key] = item
        return
    for items in _lists(parent, name):
        del items[index]
    _insert(parent, name, index, value)
