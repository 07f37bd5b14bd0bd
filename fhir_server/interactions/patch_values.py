"""The `value` of a FHIRPath Patch operation, brought into the form of the element it is for.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from typing import Any, NamedTuple

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import Invalid, Unprocessable

_AT = "part.where(name='value')"


class Value(NamedTuple):
    """json: the value. sibling: the object beside a primitive. type: of the `value[x]` it came in, None for parts."""

    json: Any
    sibling: dict[str, Any] | None = None
    type: str | None = None


def value_of(part: dict[str, Any]) -> Value:
    """The `value[x]` or resource of a parameter; empty for one that consists of parts."""
    json, sibling, found = None, None, None
    for key, value in part.items():
        name = key.removeprefix("_")
        if name.startswith("value") and name[5:6].isupper():
            found = name[5:]
            if key == name:
                json = value
            else:
                sibling = value
        elif key == "resource":
            json, found = value, "Resource"
    return Value(json, sibling, found)


def element_value(
    registry: Registry, structure: Structure, name: str, part: dict[str, Any]
) -> tuple[Element, Value]:
    """The element of `structure` that `name` means for this value, and the value as it stands in that element.

    A choice takes the type of the `value[x]`. A value of parts is built by the element's structure. Raises `Invalid`
    for no value, `Unprocessable` for one that does not fit.
    """
    value = value_of(part)
    element = _element(registry, structure, name, value)
    if value.type is None:
        if not part.get("part"):
            raise Invalid("'value' has neither value[x] nor parts.", expression=_AT, code="required")
        return element, Value(built(registry, registry.structures[element.type], part["part"]))
    kind = registry.structures[element.type].kind
    if (kind == "primitive-type") == isinstance(value.json, dict):
        raise Unprocessable(f"'{name}' is of type {element.type}, which the value is not.", expression=_AT)
    return element, value


def _element(registry: Registry, structure: Structure, name: str, value: Value) -> Element:
    names = structure.choices.get(name)
    if names is None:
        return structure.elements[name]
    for each in names:
        element = structure.elements[each]
        if value.type is not None and each == f"{name}{value.type}":
            return element
    if value.type is None:
        raise Invalid(f"'{name}' can have several types; give the value as value[x].", expression=_AT)
    raise Unprocessable(f"'{name}' cannot be of the type of the value.", expression=_AT)


def built(registry: Registry, structure: Structure, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A complex value from named parts; parts of one name make a list where the element repeats."""
    made: dict[str, Any] = {}
    if structure.kind == "primitive-type":
        raise Unprocessable(f"A {structure.name} has no parts.", expression=_AT)
    for part in parts:
        name = part.get("name")
        if not isinstance(name, str) or (name not in structure.choices and name not in structure.elements):
            raise Unprocessable(f"There is no element of the part's name in {structure.name}.", expression=_AT)
        element, value = element_value(registry, structure, name, part)
        for key, item in ((element.name, value.json), (f"_{element.name}", value.sibling)):
            if item is None:
                continue
            if element.max == 1:
                made[key] = item
            else:
                made.setdefault(key, []).append(item)
    return made
