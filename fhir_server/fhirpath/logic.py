"""Boolean logic with three values. https://hl7.org/fhirpath/N1/#boolean-logic

Each operator has a form for a collection as the focus and one for a single item, which differ in nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.fhirpath.compiled import Compiled, ItemTest, condition, item_condition
from fhir_server.fhirpath.nodes import Env, Node
from fhir_server.fhirpath.presence import any_there

# A test of either form: (focus, environment) -> True, False or None.
_Test = Callable[[Any, Any], "bool | None"]


def _and(*tests: _Test) -> _Test:
    # Two are the most usual, and take no loop.
    if len(tests) == 2:
        return _both(*tests)

    def test(this: Any, env: Any) -> bool | None:
        unknown = False
        for each in tests:
            value = each(this, env)
            if value is False:
                return False
            if value is None:
                unknown = True
        return None if unknown else True

    return test


def _both(left: _Test, right: _Test) -> _Test:
    def test(this: Any, env: Any) -> bool | None:
        first = left(this, env)
        if first is False:
            return False
        second = right(this, env)
        return second if first or second is False else None

    return test


def _or(*tests: _Test) -> _Test:
    if len(tests) == 2:
        return _either(*tests)

    def test(this: Any, env: Any) -> bool | None:
        unknown = False
        for each in tests:
            value = each(this, env)
            if value:
                return True
            if value is None:
                unknown = True
        return None if unknown else False

    return test


def _either(left: _Test, right: _Test) -> _Test:
    def test(this: Any, env: Any) -> bool | None:
        first = left(this, env)
        if first:
            return True
        second = right(this, env)
        return second if second or first is False else None

    return test


def _all_equal(pairs: tuple[tuple[str, str], ...], test: _Test) -> ItemTest:
    """`system = 'phone' and use = 'home'` of one item."""

    def item(node: Node, env: Env) -> bool | None:
        for json, text in pairs:
            child = node[1].get(json)
            if child != text:
                # What is not there at all makes the condition unknown.
                return False if type(child) is str else test([node], env)
        return True

    return item


def _xor(left: _Test, right: _Test) -> _Test:
    def test(this: Any, env: Any) -> bool | None:
        first, second = left(this, env), right(this, env)
        return None if first is None or second is None else first is not second

    return test


def _implies(left: _Test, right: _Test) -> _Test:
    def test(this: Any, env: Any) -> bool | None:
        first = left(this, env)
        if first is False:
            return True
        second = right(this, env)
        return second if first or second else None

    return test


def _not(test: _Test) -> _Test:
    def negated(this: Any, env: Any) -> bool | None:
        value = test(this, env)
        return None if value is None else not value

    return negated


def _same(left: _Test, right: _Test) -> _Test:
    return _not(_xor(left, right))


LOGIC: Mapping[str, Callable[..., _Test]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
# What equality is of two conditions.
EQUALITY: Mapping[str, Callable[..., _Test]] = {"=": _same, "!=": _xor}
# `a or b or c` is one test of three.
_ASSOCIATIVE = frozenset({"and", "or"})


def joined(operator: str, left: Compiled, right: Compiled) -> Compiled:
    """`left operator right`, both conditions in the case of `=` and `!=`."""
    apply = LOGIC.get(operator) or EQUALITY[operator]
    operands: tuple[Compiled, ...] = (left, right)
    if operator in _ASSOCIATIVE and left.joined is not None and left.joined[0] == operator:
        operands = (*left.joined[1], right)
    test = apply(*[each.condition() for each in operands])
    steps = tuple([step for each in operands for step in each.steps]) if all(each.steps for each in operands) else ()
    if operator == "or" and steps:
        return replace(item_condition(test, any_there(steps)), steps=steps, joined=(operator, operands))
    equals = tuple([pair for each in operands for pair in each.equals]) if all(each.equals for each in operands) else ()
    if operator == "and" and equals:
        return replace(item_condition(test, _all_equal(equals, test)), equals=equals, joined=(operator, operands))
    if any(each.item is not None for each in operands):
        made = item_condition(test, apply(*[each.of_item() for each in operands]))
    else:
        made = condition(test)
    return replace(made, joined=(operator, operands))


def negated(source: Compiled) -> Compiled:
    """`source.not()`."""
    test = _not(source.condition())
    return condition(test) if source.item is None else item_condition(test, source.opposite or _not(source.item))
