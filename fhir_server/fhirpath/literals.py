"""Conditions against a literal, which are most of what is asked, without making collections.

What is not the usual case of a kind is left to the operators, which decide everything.
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.compiled import Compiled, ItemTest, Test, condition, item_condition
from fhir_server.fhirpath.nodes import DECIMAL, INTEGER, KINDS, QUANTITY, STRING, Env, Node, Nodes
from fhir_server.fhirpath.operators import BINARY, NUMBERS
from fhir_server.fhirpath.syntax import Literal

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def against(symbol: str, source: Compiled, literal: Literal) -> Compiled | None:
    """`source symbol literal` as a condition; None where there is no shorter way than the operator itself."""
    if symbol == "=" and literal.type == STRING:
        return _equals_text(source, literal.value)
    compare = _ORDERS.get(symbol)
    if compare is None:
        return None
    if literal.type in NUMBERS:
        return condition(_number(symbol, compare, source, literal))
    if literal.type == QUANTITY and literal.value[1][:1] not in ("", " "):
        return condition(_quantity(symbol, compare, source, literal))
    return None


def _equals_text(source: Compiled, text: str) -> Compiled:
    run = source.run

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if not nodes:
            return None
        return len(nodes) == 1 and nodes[0][1] == text

    item = _equal_child(source, text)
    return condition(test) if item is None else item_condition(test, item)


def _equal_child(source: Compiled, text: str) -> ItemTest | None:
    if source.chain is None or len(source.chain) != 1 or not source.chain[0].primitive:
        return None
    json, run = source.chain[0].json, source.run

    def test(node: Node, env: Env) -> bool | None:
        child = node[1].get(json)
        if type(child) is str:
            return child == text
        nodes = run([node], env)
        return None if not nodes else len(nodes) == 1 and nodes[0][1] == text

    return test


def _number(symbol: str, compare: Callable[[Any, Any], bool], source: Compiled, literal: Literal) -> Test:
    run, value, general = source.run, literal.value, BINARY[symbol][0]
    right: Nodes = [(DECIMAL if isinstance(value, Decimal) else INTEGER, value, None)]

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) == 1 and KINDS.get(nodes[0][0]) in NUMBERS and nodes[0][1] is not None:
            return compare(nodes[0][1], value)
        found: bool | None = general(nodes, right)
        return found

    return test


def _quantity(symbol: str, compare: Callable[[Any, Any], bool], source: Compiled, literal: Literal) -> Test:
    run, (amount, unit), general = source.run, literal.value, BINARY[symbol][0]
    right: Nodes = [(QUANTITY, literal.value, None)]

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) == 1 and nodes[0][0] == "Quantity" and type(nodes[0][1]) is dict:
            held = nodes[0][1]
            if held.get("code") == unit and (value := held.get("value")) is not None:
                return compare(value, amount)
        found: bool | None = general(nodes, right)
        return found

    return test
