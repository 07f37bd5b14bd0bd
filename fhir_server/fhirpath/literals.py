"""Conditions against what stands written out, which are most of what is asked, without making collections.

What is not the usual case of a kind is left to the operators, which decide everything.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fhir_server.fhirpath import chains
from fhir_server.fhirpath.compiled import Compiled, Run, Test, condition, item_condition
from fhir_server.fhirpath.counts import compared
from fhir_server.fhirpath.nodes import KINDS, NUMBERS, QUANTITY, STRING, Env, Node, Nodes
from fhir_server.fhirpath.operators import BINARY

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def against(symbol: str, source: Compiled, written: Nodes) -> Compiled | None:
    """`source symbol written` as a condition; None where there is no shorter way than the operator itself."""
    if all(type_ == STRING for type_, _, _ in written):
        return _against_texts(symbol, source, written)
    compare = _COMPARISONS.get(symbol)
    if compare is None or len(written) > 1:
        return None
    type_, value, _ = written[0]
    if type_ in NUMBERS:
        return compared(source, compare, value) or condition(_number(symbol, compare, source, written))
    if type_ == QUANTITY and symbol != "=" and value[1][:1] not in ("", " "):
        return _quantity(symbol, compare, source, written)
    return None


def _against_texts(symbol: str, source: Compiled, texts: Nodes) -> Compiled | None:
    text = texts[0][1]
    if symbol == "in":
        known = frozenset([value for _, value, _ in texts])
        return _on_text(source, _on_string(source, known.__contains__, symbol, texts), known.__contains__)
    if len(texts) > 1:
        return None
    match symbol:
        case "=":
            made = _on_text(source, _equals(source, text), partial(operator.eq, text))
            return replace(made, equals=((source.chain[0].json, text),)) if made.item and source.chain else made
        case "!=":
            differs = partial(operator.ne, text)
            return _on_text(source, _on_string(source, differs, symbol, texts), differs)
        case "contains":
            return condition(_holds(source, text))
    return None


def _on_text(source: Compiled, test: Test, decide: Callable[[Any], bool]) -> Compiled:
    """A condition on the one text of a source, decided at once where a plain step leads to it."""
    if source.chain is None or len(source.chain) != 1 or KINDS.get(source.chain[0].type or "") != STRING:
        return condition(test)
    json = source.chain[0].json

    def item(node: Node, env: Env) -> bool | None:
        child = node[1].get(json)
        return decide(child) if type(child) is str else test([node], env)

    return item_condition(test, item)


def _equals(source: Compiled, text: str) -> Test:
    run = source.run

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if not nodes:
            return None
        return len(nodes) == 1 and nodes[0][1] == text and KINDS.get(nodes[0][0]) == STRING

    return test


def _on_string(source: Compiled, decide: Callable[[Any], bool], symbol: str, right: Nodes) -> Test:
    run, general = source.run, BINARY[symbol][0]

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) == 1 and KINDS.get(nodes[0][0]) == STRING:
            return decide(nodes[0][1])
        found: bool | None = general(nodes, right)
        return found

    return test


def _holds(source: Compiled, text: str) -> Test:
    run, chain = source.run, source.chain
    if chain and len(chain) > 1 and KINDS.get(chain[-1].type or "") == STRING:
        return _held(chain[-1].json, chains.fused(chain[:-1]), text)

    def test(this: Nodes, env: Env) -> bool:
        for node in run(this, env):  # noqa: SIM110 (a generator costs twice as much)
            if node[1] == text and KINDS.get(node[0]) == STRING:
                return True
        return False

    return test


def _held(json: str, parents: Run, text: str) -> Test:
    def test(this: Nodes, env: Env) -> bool:
        for node in parents(this, env):
            child = node[1].get(json)
            if child == text or (type(child) is list and text in child):
                return True
        return False

    return test


def _number(symbol: str, compare: Callable[[Any, Any], bool], source: Compiled, right: Nodes) -> Test:
    run, value, general = source.run, right[0][1], BINARY[symbol][0]

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) == 1 and KINDS.get(nodes[0][0]) in NUMBERS and nodes[0][1] is not None:
            return compare(nodes[0][1], value)
        found: bool | None = general(nodes, right)
        return found

    return test


def _quantity(symbol: str, compare: Callable[[Any, Any], bool], source: Compiled, right: Nodes) -> Compiled:
    run, (amount, unit), general = source.run, right[0][1], BINARY[symbol][0]

    def held_in_unit(quantity: Any) -> Any:
        return quantity.get("value") if type(quantity) is dict and quantity.get("code") == unit else None

    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if len(nodes) == 1 and nodes[0][0] == "Quantity" and (value := held_in_unit(nodes[0][1])) is not None:
            return compare(value, amount)
        found: bool | None = general(nodes, right)
        return found

    if source.chain is None or len(source.chain) != 1 or source.chain[0].type != "Quantity":
        return condition(test)
    json = source.chain[0].json

    def item(node: Node, env: Env) -> bool | None:
        value = held_in_unit(node[1].get(json))
        return compare(value, amount) if value is not None else test([node], env)

    return item_condition(test, item)
