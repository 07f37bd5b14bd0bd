"""Operations: what OperationDefinitions say.

https://hl7.org/fhir/R4/operationdefinition.html, https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """A parameter of an operation. use: in or out. max: None = any number. type: None when it has parts only."""

    name: str
    use: str
    min: int
    max: int | None
    type: str | None
    search_type: str | None
    targets: tuple[str, ...]
    binding: tuple[str, str] | None
    parts: tuple["OperationParameter", ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation `$code`. system, type, instance: the levels it can be called on; resource_types: for type and
    instance level. affects_state: it writes, so it is called with POST."""

    code: str
    url: str
    system: bool
    type: bool
    instance: bool
    resource_types: tuple[str, ...]
    affects_state: bool
    parameters: tuple[OperationParameter, ...]

    def inputs(self) -> dict[str, OperationParameter]:
        """The `in` parameters by name."""
        return {p.name: p for p in self.parameters if p.use == "in"}

    def outputs(self) -> dict[str, OperationParameter]:
        """The `out` parameters by name."""
        return {p.name: p for p in self.parameters if p.use == "out"}


def load_operation(definition: dict[str, Any], resource_types: Sequence[str]) -> Operation:
    """An Operation from an OperationDefinition resource; `Resource` means every concrete type."""
    named = definition.get("resource", ())
    anywhere = "Resource" in named or "DomainResource" in named
    return Operation(
        definition["code"], definition["url"], definition["system"], definition["type"], definition["instance"],
        tuple(resource_types) if anywhere else tuple(named), definition.get("affectsState", False),
        tuple(_parameter(p) for p in definition.get("parameter", ())),
    )


def _parameter(raw: dict[str, Any]) -> OperationParameter:
    binding = raw.get("binding")
    return OperationParameter(
        raw["name"], raw.get("use", "in"), raw.get("min", 0), None if raw.get("max", "1") == "*" else int(raw["max"]),
        raw.get("type"), raw.get("searchType"), tuple(url.rsplit("/", 1)[1] for url in raw.get("targetProfile", ())),
        (binding["strength"], binding["valueSet"].split("|")[0]) if binding else None,
        tuple(_parameter(part) for part in raw.get("part", ())),
    )


def index_operations(operations: Iterable[Operation]) -> dict[tuple[str | None, str], Operation]:
    """Operations by (resource type, or None at system level; code)."""
    index: dict[tuple[str | None, str], Operation] = {}
    for operation in operations:
        if operation.system:
            index[None, operation.code] = operation
        if operation.type or operation.instance:
            index.update(((name, operation.code), operation) for name in operation.resource_types)
    return index
