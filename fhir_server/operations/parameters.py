"""The input of an operation, from a query or a Parameters resource, by its OperationDefinition; and its output.

https://hl7.org/fhir/R4/operations.html#request, https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from fhir_server.conformance.operations import Operation, OperationParameter
from fhir_server.conformance.registry import Registry
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Invalid, NotSupported

# Types whose values clients send under one another's name; the JSON is the same.
_ALIKE: tuple[frozenset[str], ...] = (
    frozenset({"uri", "url", "canonical", "code", "string", "id", "markdown", "oid", "uuid"}),
    frozenset({"date", "dateTime", "instant"}),
    frozenset({"integer", "positiveInt", "unsignedInt"}),
)


def from_query(operation: Operation, pairs: Iterable[tuple[str, str]]) -> dict[str, list[Any]]:
    """Values of the URL's parameters. Raises `Invalid` for a value that is not of the defined type, or for a parameter
    whose type cannot stand in a URL."""
    inputs = operation.inputs()
    values: dict[str, list[Any]] = {}
    for name, text in pairs:
        definition = inputs[name]
        kind = definition.type or ""
        if kind == "Reference" and text:
            values.setdefault(name, []).append({"reference": text})
            continue
        if not kind[:1].islower():
            raise Invalid(
                f"{name} is a {kind or 'structure'}, which cannot stand in the URL: POST a Parameters resource.",
                expression=f"http.{name}",
            )
        values.setdefault(name, []).append(_converted(text, kind, f"http.{name}"))
    return values


def from_resource(operation: Operation, registry: Registry, resource: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Values of a Parameters resource. Errors name `Parameters.parameter[i]`."""
    inputs = operation.inputs()
    values: dict[str, list[Any]] = {}
    entries = resource.get("parameter", [])
    if not isinstance(entries, list):
        raise Invalid("parameter must be an array.", expression="Parameters.parameter", code="structure")
    for index, entry in enumerate(entries):
        path = f"Parameters.parameter[{index}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise Invalid("A parameter needs a name.", expression=f"{path}.name", code="required")
        if name not in inputs:
            raise unknown(operation, name, f"{path}.name")
        values.setdefault(name, []).append(_value(entry, inputs[name], registry, path))
    return values


def bare(operation: Operation, registry: Registry, resource: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The value of the one resource parameter when the body is that resource itself. Raises `Invalid` when the
    operation does not have exactly one such parameter, or has it for another type."""
    takes = [p for p in operation.inputs().values() if _is_resource(p.type, registry)]
    given = resource.get("resourceType")
    fitting = [p for p in takes if p.type in ("Resource", given)]
    if len(takes) != 1 or not fitting:
        wanted = f"a Parameters resource or a {takes[0].type}" if len(takes) == 1 else "a Parameters resource"
        raise Invalid(f"The body of ${operation.code} is {wanted}.", code="structure")
    return {fitting[0].name: [dict(resource)]}


def checked(operation: Operation, values: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The values with cardinality checked: a list where a parameter may repeat, else the one value."""
    inputs = operation.inputs()
    result: dict[str, Any] = {}
    for name, definition in inputs.items():
        found = values.get(name, [])
        if len(found) < definition.min:
            raise Invalid(f"${operation.code} needs the parameter {name}.", expression=f"http.{name}", code="required")
        if definition.max is not None and len(found) > definition.max:
            raise Invalid(
                f"{name} was given {len(found)} times; ${operation.code} takes it at most {definition.max} times.",
                expression=f"http.{name}",
                code="multiple-matches",
            )
        if found:
            result[name] = found[0] if definition.max == 1 else found
    return result


def returned(kind: str, value: Any) -> dict[str, Any]:
    """The output of an operation that returns a data type: Parameters with one `return`."""
    return {"resourceType": "Parameters", "parameter": [{"name": "return", f"value{kind}": value}]}


def unknown(operation: Operation, name: str, expression: str) -> NotSupported:
    """The error for a parameter that the operation does not have, naming the nearest that it has."""
    known = list(operation.inputs())
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else f" It has: {', '.join(known) or 'none'}."
    return NotSupported(f"${operation.code} has no parameter {name!r}.{hint}", expression=expression)


def _is_resource(kind: str | None, registry: Registry) -> bool:
    return kind == "Resource" or kind in registry.type_ids


def _value(entry: Mapping[str, Any], definition: OperationParameter, registry: Registry, path: str) -> Any:
    if definition.parts:
        return _parts(entry, definition, registry, path)
    kind = definition.type or ""
    if kind == "Type":
        return _anything(entry, definition, path)
    if _is_resource(kind, registry):
        resource = entry.get("resource")
        given = resource.get("resourceType") if isinstance(resource, dict) else None
        if given is None or kind not in ("Resource", given):
            raise Invalid(f"{definition.name} takes a resource of type {kind}.", expression=f"{path}.resource")
        return resource
    names = [name for name in entry if name.startswith("value")]
    if len(names) != 1:
        raise Invalid(f"{definition.name} takes one value of type {kind}.", expression=path, code="required")
    given_kind = _kind_of(names[0])
    if given_kind != kind and not any(kind in alike and given_kind in alike for alike in _ALIKE):
        raise Invalid(
            f"{definition.name} takes a {kind} ({_value_name(kind)}), not {names[0]}.",
            expression=f"{path}.{names[0]}",
            code="value",
        )
    value = entry[names[0]]
    wanted = _JSON.get(kind, str) if kind[:1].islower() else dict
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise Invalid(f"{definition.name} does not hold a {kind}.", expression=f"{path}.{names[0]}", code="value")
    return _converted(value, kind, f"{path}.{names[0]}") if isinstance(value, str) else value


def _anything(entry: Mapping[str, Any], definition: OperationParameter, path: str) -> tuple[str, Any, Any]:
    """(FHIR type, value, `_value` of a primitive) of a parameter that takes a value of any type, or a resource."""
    resource = entry.get("resource")
    if isinstance(resource, dict):
        return str(resource.get("resourceType", "")), resource, None
    names = {name.removeprefix("_") for name in entry if name.startswith(("value", "_value"))}
    if len(names) != 1:
        raise Invalid(f"{definition.name} takes one value or resource.", expression=path, code="required")
    name = names.pop()
    return _kind_of(name), entry.get(name), entry.get(f"_{name}")


def _parts(entry: Mapping[str, Any], definition: OperationParameter, registry: Registry, path: str) -> dict[str, Any]:
    """The values of a parameter that has parts, by part: a list where it may repeat, else the one value."""
    known = {part.name: part for part in definition.parts}
    entries = entry.get("part", [])
    found: dict[str, Any] = {}
    for index, part in enumerate(entries if isinstance(entries, list) else ()):
        name = part.get("name") if isinstance(part, dict) else None
        where = f"{path}.part[{index}]"
        if name not in known:
            raise NotSupported(
                f"{definition.name} has no part {name!r}. It has: {', '.join(known)}.", expression=f"{where}.name"
            )
        value = _value(part, known[name], registry, where)
        if known[name].max != 1:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Invalid(f"{definition.name} takes one {name}.", expression=where, code="multiple-matches")
        else:
            found[name] = value
    for name, part in known.items():
        if part.min and name not in found:
            raise Invalid(f"{definition.name} needs the part {name}.", expression=path, code="required")
    return found


_JSON: Mapping[str, type] = {"boolean": bool, "integer": int, "positiveInt": int, "unsignedInt": int}


def _kind_of(name: str) -> str:
    """The type of a `value[x]` property: `valueUri` -> uri, `valueCoding` -> Coding."""
    kind = name[len("value") :]
    lower = kind[:1].lower() + kind[1:]
    return lower if lower in _PRIMITIVES else kind


def _value_name(kind: str) -> str:
    return "value" + kind[:1].upper() + kind[1:]


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _integer(text: str) -> int:
    number = int(text)
    if not (text.lstrip("-").isascii() and text.lstrip("-").isdigit() and abs(number) < 2**31):
        raise ValueError
    return number


def _time(text: str) -> str:
    parse_range(text)
    return text


def _filled(text: str) -> str:
    if not text:
        raise ValueError
    return text


_CONVERT: Mapping[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "date": _time,
    "dateTime": _time,
    "instant": _time,
}
_PRIMITIVES = frozenset().union(*_ALIKE) | _CONVERT.keys() | {"decimal", "time", "base64Binary"}


def _converted(text: str, kind: str, expression: str) -> Any:
    try:
        return _CONVERT.get(kind, _filled)(text)
    except ValueError:
        raise Invalid(f"This is not a value of type {kind}.", expression=expression, code="value") from None
