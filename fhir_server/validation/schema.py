"""StructureDefinitions compiled to JSON Schema, run by jsonschema-rs: one validator per resource type.

The schema answers for names, cardinality, JSON types, formats and required codes of code elements. Inline resources
are only seen as objects with a resourceType; `rules.py` hands each to the validator of its own type.
https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.validation.currencies import CURRENCIES
from fhir_server.validation.primitives import PRIMITIVES

_SIBLING = "~primitive"
_RESOURCE = "~resource"
_CURRENCIES = "http://hl7.org/fhir/ValueSet/currencies"
_PATTERNS = {"http://hl7.org/fhir/ValueSet/mimetypes": r"^[^\s/;]+(?:/[^\s;]+)?(?:\s?;.*)?$"}


def validator(registry: Registry, resource_type: str) -> jsonschema_rs.Draft202012Validator:
    """The validator of one resource type. Not cached here."""
    # The regex crate's engine is linear in the text, whatever the pattern.
    return jsonschema_rs.Draft202012Validator(
        schema(registry, resource_type), pattern_options=jsonschema_rs.RegexOptions()
    )


def schema(registry: Registry, resource_type: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one resource type with all types that it can hold."""
    return _Compiler(registry).whole(resource_type)


def required_codes(registry: Registry, element: Element) -> frozenset[str] | None:
    """The codes that a required binding allows on a code element; None when it has none or they cannot be listed."""
    if element.binding is None or element.binding[0] != "required":
        return None
    if element.binding[1] == _CURRENCIES:
        return CURRENCIES
    codes = registry.codes(element.binding[1])
    return None if codes is None else frozenset(code for _, code in codes)


class _Compiler:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._structures = registry.structures
        self._definitions: dict[str, Any] = {
            **PRIMITIVES,
            _RESOURCE: {
                "type": "object",
                "required": ["resourceType"],
                "properties": {"resourceType": {"type": "string"}},
            },
        }

    def whole(self, resource_type: str) -> dict[str, Any]:
        structure = self._structures[resource_type]
        top = self._object(structure)
        top["properties"]["resourceType"] = {"const": resource_type}
        top["required"] = ["resourceType", *top.get("required", ())]
        top["minProperties"] = 1
        self._definitions[_SIBLING] = self._object(self._structures["Element"], ("id", "extension"))
        # Beside a value, an id alone is content enough; where there is no value, the walk says so.
        del self._definitions[_SIBLING]["dependentSchemas"]
        return {**top, "$defs": self._definitions}

    def _reference(self, type_: str) -> str:
        structure = self._structures[type_]
        if structure.kind == "resource":
            return f"#/$defs/{_RESOURCE}"
        if type_ not in self._definitions:
            self._definitions[type_] = {}
            self._definitions[type_] = self._object(structure)
        return f"#/$defs/{type_}"

    def _object(self, structure: Structure, only: tuple[str, ...] | None = None) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        dependent: dict[str, Any] = {}
        for element in structure.elements.values():
            if only is None or element.name in only:
                self._property(element, properties, dependent)
        found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if structure.kind != "resource":
            found["minProperties"] = 1
            # An element with nothing but an id has no content (ele-1).
            dependent["id"] = {"minProperties": 2}
        if dependent:
            found["dependentSchemas"] = dependent
        required = [e.name for e in self._required(structure) if not self._is_primitive(e)]
        if required:
            found["required"] = required
        alternatives = list(self._alternatives(structure))
        if alternatives:
            found["allOf"] = alternatives
        return found

    def _property(self, element: Element, properties: dict[str, Any], dependent: dict[str, Any]) -> None:
        name = element.name
        value = self._value(element)
        if not self._is_primitive(element):
            properties[name] = value if element.max == 1 else _list(value)
            return
        has_sibling = element.representation != "xmlAttr" and element.type != "xhtml"
        beside: dict[str, Any] = {"$ref": f"#/$defs/{_SIBLING}"}
        if element.max == 1:
            properties[name] = value
        else:
            properties[name] = _list(_or_null(PRIMITIVES[element.type], value))
            beside = _list({"anyOf": [{"type": "null"}, beside]})
            # A null in the list is only a place kept for the extension at the same place of the `_name` list.
            dependent[name] = {"anyOf": [{"required": [f"_{name}"]}, {"properties": {name: _NO_NULL}}]}
        if has_sibling:
            properties[f"_{name}"] = beside

    def _value(self, element: Element) -> dict[str, Any]:
        if element.type == "code":
            codes = required_codes(self._registry, element)
            if codes is not None:
                return {"type": "string", "enum": sorted(codes)}
            if element.binding and element.binding[0] == "required" and element.binding[1] in _PATTERNS:
                return {"type": "string", "pattern": _PATTERNS[element.binding[1]]}
        return {"$ref": self._reference(element.type)}

    def _is_primitive(self, element: Element) -> bool:
        return self._structures[element.type].kind == "primitive-type"

    def _required(self, structure: Structure) -> Iterator[Element]:
        return (e for e in structure.elements.values() if e.min and e.choice is None)

    def _alternatives(self, structure: Structure) -> Iterator[dict[str, Any]]:
        """Required primitives, which may be there with extensions only, and required choices."""
        for element in self._required(structure):
            if self._is_primitive(element):
                if element.representation == "xmlAttr" or element.type == "xhtml":
                    yield {"required": [element.name]}
                else:
                    yield {"anyOf": [{"required": [element.name]}, {"required": [f"_{element.name}"]}]}
        for names in structure.choices.values():
            elements = [structure.elements[name] for name in names]
            if elements[0].min:
                every = [e.name for e in elements] + [f"_{e.name}" for e in elements if self._is_primitive(e)]
                yield {"anyOf": [{"required": [name]} for name in every]}


_NO_NULL = {"not": {"contains": {"type": "null"}}}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


def _or_null(primitive: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in value:
        return {**primitive, "type": [primitive["type"], "null"]}
    nullable = {**value, "type": ["string", "null"]}
    if "enum" in value:
        nullable["enum"] = [*value["enum"], None]
    return nullable
