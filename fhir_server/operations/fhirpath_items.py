"""The items of a FHIRPath result as parts of a Parameters resource. https://hl7.org/fhir/R4/parameters.html"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.core import ucum
from fhir_server.core.errors import TooCostly
from fhir_server.core.resource_json import encode
from fhir_server.fhirpath import Node, Nodes, temporal
from fhir_server.fhirpath.nodes import BOOLEAN, DATE, DATETIME, DECIMAL, INTEGER, QUANTITY, STRING, TIME
from fhir_server.fhirpath.paths import TYPE_INFO
from fhir_server.interactions.places import Place

_MOST_ITEMS = 10_000
_MOST_BYTES = 10_000_000
Value = dict[str, Any]


class Items:
    """Makes the parts of one answer, and counts how much it grows to."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._values = frozenset(registry.structures["Parameters.parameter"].choices["value"])
        self._items, self._bytes = 0, 0

    def part(self, node: Node, place: str | None = None) -> dict[str, Any]:
        """An item: its type, where it stands, its value. Raises `TooCostly` for more than an answer may hold."""
        parts: list[Value] = [{"name": "type", "valueString": _type(node)}]
        if place is not None:
            parts.append({"name": "location", "valueString": place})
        value = self._value(node)
        self._items += 1
        self._bytes += 100 + len(encode(value))
        if self._items > _MOST_ITEMS or self._bytes > _MOST_BYTES:
            raise TooCostly("The results are too large for one answer.", expression="http.expression")
        return {"name": "item", "part": [*parts, value]}

    def trace(self, name: str, nodes: Nodes) -> dict[str, Any]:
        """What one call of trace() showed."""
        label = {"name": "name", "valueString": name or "-"}
        return {"name": "trace", "part": [label, *[self.part(node) for node in nodes]]}

    def _value(self, node: Node) -> Value:
        if node[:2] == (STRING, ""):
            # FHIR has no empty strings.
            return {"name": "json", "valueString": '""'}
        write = _SYSTEM.get(node[0])
        if write is not None:
            return {"name": "value", **write(node[1])}
        structure = self._registry.structures.get(node[0])
        if structure is not None and structure.kind == "resource":
            return {"name": "value", "resource": node[1]}
        name = f"value{node[0][:1].upper()}{node[0][1:]}"
        if structure is not None and structure.kind == "primitive-type":
            name = name if name in self._values else "valueString"
            given = {} if node[1] is None else {name: node[1]}
            beside = {f"_{name}": node[2]} if node[2] else {}
            return {"name": "value", **given, **beside}
        if name in self._values:
            return {"name": "value", name: node[1]}
        if node[0] == TYPE_INFO:
            return {"name": "value", "valueString": f"{node[1]['namespace']}.{node[1]['name']}"}
        return {"name": "json", "valueString": encode(node[1]).decode()}


def _type(node: Node) -> str:
    return "System.TypeInfo" if node[0] == TYPE_INFO else node[0]


def _integer(value: int) -> Value:
    # FHIR's integers have 32 bits.
    return {"valueInteger": value} if -(2**31) <= value < 2**31 else {"valueDecimal": Decimal(value)}


def _moment(value: str) -> Value:
    moment = temporal.read(value)
    clock = len(moment.parts) - 3 if moment is not None else 0
    whole = clock <= 0 or (clock == 3 and moment is not None and moment.offset is not None)
    return {"valueDateTime": value} if whole else {"valueString": value}


def _time(value: str) -> Value:
    # FHIR's times go down to the second.
    return {"valueTime": value} if value.count(":") == 2 else {"valueString": value}


def _quantity(value: tuple[Decimal, str]) -> Value:
    amount, unit = value
    if unit.startswith(" "):
        return {"valueQuantity": {"value": amount, "unit": unit.strip()}}
    return {"valueQuantity": {"value": amount, "unit": unit, "system": ucum.SYSTEM, "code": unit}}


# FHIRPath's own types, as the FHIR type that holds their values.
_SYSTEM: Mapping[str, Callable[[Any], Value]] = {
    BOOLEAN: lambda value: {"valueBoolean": value},
    STRING: lambda value: {"valueString": value},
    INTEGER: _integer,
    DECIMAL: lambda value: {"valueDecimal": value},
    DATE: lambda value: {"valueDate": value},
    DATETIME: _moment,
    TIME: _time,
    QUANTITY: _quantity,
}


def location(resource: dict[str, Any], place: Place, registry: Registry) -> str:
    """A place as FHIRPath: `Patient.name[0].given[1]`, `Observation.value` for `valueQuantity`."""
    structure = registry.structures[resource["resourceType"]]
    text = structure.name
    at: Any = resource
    for name, index in place.steps:
        element = structure.elements.get(name)
        step = name if element is None else element.choice or name
        text += f".{step}" if index is None else f".{step}[{index}]"
        value = at.get(name, at.get(f"_{name}")) if isinstance(at, dict) else None
        at = value[index] if isinstance(value, list) and index is not None and index < len(value) else value
        kind = element.type if element is not None else ""
        if isinstance(at, dict) and isinstance(at.get("resourceType"), str):
            kind = at["resourceType"]
        structure = registry.structures.get(kind, structure)
    return text
