"""Conversion between types, and iif. https://hl7.org/fhirpath/N1/#conversion"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from typing import Any

from fhir_server.fhirpath import quantities, temporal
from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity, collected, condition_of
from fhir_server.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    EMPTY,
    INTEGER,
    KINDS,
    NUMBERS,
    QUANTITY,
    STRING,
    TIME,
    Env,
    Node,
    Nodes,
    single,
    string,
)
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?\Z")
_QUANTITY = re.compile(r"(?P<value>[+-]?[0-9]+(?:\.[0-9]+)?)\s*(?:'(?P<code>[^']+)'|(?P<calendar>[a-z]+))?\Z")
_TRUE, _FALSE = frozenset({"true", "t", "yes", "y", "1", "1.0"}), frozenset({"false", "f", "no", "n", "0", "0.0"})
_CALENDAR = re.compile(r"(year|month|week|day|hour|minute|second|millisecond)s?\Z")


def _iif(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("iif", arguments, 2, 3)
    focus = source.types
    criterion = compiler.scoped(arguments[0], focus)
    if criterion.types and not any(KINDS.get(type_) == BOOLEAN for type_ in criterion.types):
        raise FhirPathError("The criterion of 'iif' must be a boolean.")
    test, decide = criterion.condition(), criterion.item
    branches = [compiler.scoped(tree, focus) for tree in arguments[1:]]
    run, then = source.run, branches[0].run
    otherwise = branches[1].run if len(branches) > 1 else None
    of_focus = source.chain == ()

    def chosen(this: Nodes, env: Env) -> Nodes:
        nodes = this if of_focus else run(this, env)
        if len(nodes) > 1:
            raise FhirPathError("'iif' works on one item.")
        if decide(nodes[0], env) if decide and nodes else test(nodes, env):
            return then(nodes, env)
        return otherwise(nodes, env) if otherwise else EMPTY

    return Compiled(chosen, None)


def _to_boolean(node: Node) -> Any:
    value = node[1]
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if KINDS.get(node[0]) in NUMBERS:
        return True if value == 1 else False if value == 0 else None
    return True if word in _TRUE else False if word in _FALSE else None


def _to_integer(node: Node) -> Any:
    if KINDS.get(node[0]) in (INTEGER, BOOLEAN):
        return int(node[1])
    return int(node[1]) if isinstance(node[1], str) and _INTEGER.match(node[1]) else None


def _to_decimal(node: Node) -> Any:
    if KINDS.get(node[0]) in (INTEGER, DECIMAL, BOOLEAN):
        return Decimal(node[1])
    return Decimal(node[1]) if isinstance(node[1], str) and _DECIMAL.match(node[1]) else None


def plain(value: Decimal) -> str:
    """A decimal without an exponent, unless that takes a great many digits."""
    return f"{value:f}" if -100 < value.adjusted() < 100 else str(value)


def _to_string(node: Node) -> Any:
    value = node[1]
    if isinstance(value, bool):
        return "true" if value else "false"
    amount = quantities.value_of(node) if KINDS.get(node[0]) == QUANTITY else None
    if amount is not None:
        unit = amount[1]
        return f"{plain(amount[0])}{unit}" if unit.startswith(" ") else f"{plain(amount[0])} '{unit}'"
    if isinstance(value, Decimal):
        return plain(value)
    return str(value) if node[0] in KINDS and not isinstance(value, dict) else None


def _to_date(node: Node) -> Any:
    found = temporal.read(node[1]) if isinstance(node[1], str) and KINDS.get(node[0]) != TIME else None
    return None if found is None else node[1][:10].removesuffix("T")


def _to_date_time(node: Node) -> Any:
    return node[1] if isinstance(node[1], str) and KINDS.get(node[0]) != TIME and temporal.read(node[1]) else None


def _to_time(node: Node) -> Any:
    kind = KINDS.get(node[0])
    return node[1] if kind in (STRING, TIME) and temporal.read(node[1].removeprefix("T"), True) else None


def _to_quantity(node: Node) -> Any:
    if isinstance(node[1], bool):
        return Decimal(node[1]), "1"
    if KINDS.get(node[0]) in (INTEGER, DECIMAL, QUANTITY):
        return quantities.value_of(node)
    match = _QUANTITY.match(node[1]) if isinstance(node[1], str) else None
    if match is None:
        return None
    unit = match["code"] or "1"
    if match["calendar"]:
        calendar = _CALENDAR.match(match["calendar"])
        if calendar is None:
            return None
        unit = f" {calendar[1]}"
    return Decimal(match["value"]), unit


_CONVERSIONS: Mapping[str, tuple[str, Callable[[Node], Any]]] = {
    "Boolean": (BOOLEAN, _to_boolean),
    "Integer": (INTEGER, _to_integer),
    "Decimal": (DECIMAL, _to_decimal),
    "String": (STRING, _to_string),
    "Date": (DATE, _to_date),
    "DateTime": (DATETIME, _to_date_time),
    "Time": (TIME, _to_time),
    "Quantity": (QUANTITY, _to_quantity),
}


def _converted(name: str, convert: Callable[[Node], Any], nodes: Nodes) -> Any:
    node = single(nodes, f"'{name}'")
    if node is None or node[1] is None:
        return None
    try:
        return convert(node)
    except (DecimalException, ValueError):
        return None


def _in_unit(value: Any, unit: Nodes, name: str) -> Any:
    """A quantity converted to the unit that is asked for; None when it is of another kind."""
    wanted = string(unit, f"'{name}'")
    if value is None or wanted is None:
        return value
    calendar = _CALENDAR.match(wanted)
    return quantities.converted(value, f" {calendar[1]}" if calendar else wanted)


def _to(name: str, type_: str, convert: Callable[[Node], Any]) -> Build:
    def on_nodes(nodes: Nodes, unit: Nodes = EMPTY) -> Nodes:
        value = _in_unit(_converted(name, convert, nodes), unit, name)
        return EMPTY if value is None else [(type_, value, None)]

    return collected(name, on_nodes, 0, 1 if type_ == QUANTITY else 0, frozenset({type_}))


def _converts(name: str, convert: Callable[[Node], Any]) -> Build:
    def on_nodes(nodes: Nodes, unit: Nodes = EMPTY) -> bool | None:
        return None if not nodes else _in_unit(_converted(name, convert, nodes), unit, name) is not None

    return condition_of(name, on_nodes, 0, 1 if name == "convertsToQuantity" else 0)


FUNCTIONS: Mapping[str, Build] = {
    "iif": _iif,
    **{f"to{name}": _to(f"to{name}", type_, convert) for name, (type_, convert) in _CONVERSIONS.items()},
    **{f"convertsTo{n}": _converts(f"convertsTo{n}", convert) for n, (_, convert) in _CONVERSIONS.items()},
}
