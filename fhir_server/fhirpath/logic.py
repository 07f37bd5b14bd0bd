"""Boolean logic with three values. https://hl7.org/fhirpath/N1/#boolean-logic

Each operator has a form for a collection as the focus and one for a single item, which differ in nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.fhirpath.chains import any_there
from fhir_server.fhirpath.compiled import Compiled, condition, item_condition

# A test of either form: (focus, environment) -> True, False or None.
_Test = Callable[[Any, Any], "bool | None"]


def _and(*tests: _Test) -> _Test:
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


def _or(*tests: _Test) -> _Test:
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


LOGIC: Mapping[str, Callable[..., _Test]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}
# `a or b or c` is one test of three.
_ASSOCIATIVE = frozenset({"and", "or"})


def joined(operator: str, left: Compiled, right: Compiled) -> Compiled:
    """`left operator right`."""
    apply = LOGIC[operator]
    operands: tuple[Compiled, ...] = (left, right)
    if operator in _ASSOCIATIVE and left.joined is not None and left.joined[0] == operator:
        operands = (*left.joined[1], right)
    test = apply(*[each.condition() for each in operands])
    steps = tuple([step for each in operands for step in each.steps]) if all(each.steps for each in operands) else ()
    if operator == "or" and steps:
        return replace(item_condition(test, any_there(steps)), steps=steps, joined=(operator, operands))
    if any(each.item is not None for each in operands):
        made = item_condition(test, apply(*[each.of_item() for each in operands]))
    else:
        made = condition(test)
    return replace(made, joined=(operator, operands))


def negated(source: Compiled) -> Compiled:
    """`source.not()`."""
    test = _not(source.condition())
    return condition(test) if source.item is None else item_condition(test, _not(source.item))
