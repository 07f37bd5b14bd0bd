"""What a profile says of a value by itself: fixed, pattern, length, bounds, and the limits that extensions set.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.core.resource_json import encode
from fhir_server.fhirpath import Node, allowance
from fhir_server.validation.facets import Test, facets
from fhir_server.validation.profiles.bounds import bound_check
from fhir_server.validation.profiles.tree import Branch
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

Matches = Callable[[Node], bool]
_LONGEST = 120
# What comparing two items of lists takes, in the units of the allowance.
_PAIR = 5


def same(wanted: Any, given: Any) -> bool:
    """Whether two JSON values are the same in all, the digits of decimals included."""
    if isinstance(wanted, dict):
        if not isinstance(given, dict) or wanted.keys() != given.keys():
            return False
        return all(same(value, given[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(given, list) and len(wanted) == len(given) and all(map(same, wanted, given))
    if isinstance(wanted, Decimal) or isinstance(given, Decimal):
        return isinstance(given, Decimal | int) and str(wanted) == str(given)
    return bool(wanted == given)


def contains(wanted: Any, given: Any) -> bool:
    """Whether a value has all that a pattern has; of an array, each item somewhere. Primitives are the same exactly.

    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
    """
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(k in given and contains(v, given[k]) for k, v in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(given, list):
            return False
        allowance.take(len(wanted) * len(given) * _PAIR, 0.0)
        return all(any(contains(each, item) for item in given) for each in wanted)
    return same(wanted, given)


def matcher(branch: Branch) -> Matches | None:
    """The test that `fixed[x]` or `pattern[x]` of an element makes; None when it has neither."""
    fixed = branch.value("fixed")
    if fixed is not None:
        _, value, sibling = fixed
        if isinstance(value, dict):
            return lambda node: same(value, node[1])
        return lambda node: node[1] is not None and same(value, node[1]) and same(sibling, node[2])
    pattern = branch.value("pattern")
    if pattern is None:
        return None
    _, value, sibling = pattern
    if sibling is None and not isinstance(value, dict | list):
        return lambda node: same(value, node[1])
    return lambda node: (value is None or contains(value, node[1])) and (sibling is None or contains(sibling, node[2]))


def shown(value: Any) -> str:
    """A definition's value for a sentence."""
    text = value if isinstance(value, str) else encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def value_checks(branch: Branch, rule: str, owner: str, skip: Branch | None) -> list[Check]:
    """The checks of an element's value. `skip`: the element that it slices, whose own values were checked already."""
    made: list[Check] = []
    for prefix in ("fixed", "pattern"):
        wanted = branch.value(prefix)
        if wanted is not None and (skip is None or skip.value(prefix) != wanted):
            made.append(_value_check(branch, prefix, rule, owner))
    longest = branch.element.get("maxLength")
    if longest is not None:
        made.append(_length_check(int(longest), branch.name, rule, owner))
    for prefix, sign in (("minValue", 1), ("maxValue", -1)):
        limit = branch.value(prefix)
        if limit is not None and limit[1] is not None:
            made.append(bound_check(limit[0], limit[1], sign, branch.name, rule, owner))
    said = _extensions(branch)
    limits = facets(said) if skip is None or said != _extensions(skip) else ()
    return [*made, *(_facet_check(test, code, branch.name, rule, owner) for test, code in limits)]


def _extensions(branch: Branch) -> list[Any]:
    return [*branch.element.get("extension", ()), *(e for type_ in branch.types for e in type_.get("extension", ()))]


def _value_check(branch: Branch, prefix: str, rule: str, owner: str) -> Check:
    wanted = branch.value(prefix)
    matches = matcher(branch)
    assert wanted is not None and matches is not None
    words = "must be exactly" if prefix == "fixed" else "must have at least"
    if wanted[1] is not None and not isinstance(wanted[1], dict):
        words = "must be"
    text = f"'{branch.name}' {words} {shown(wanted[1] if wanted[1] is not None else wanted[2])} in {owner}."

    def check(node: Node, path: Path, trial: Trial) -> None:
        if not matches(node):
            trial.fail(path, "value", text, rule)

    return check


def _length_check(longest: int, name: str, rule: str, owner: str) -> Check:
    text = f"'{name}' can have {longest} characters at most in {owner}."

    def check(node: Node, path: Path, trial: Trial) -> None:
        if isinstance(node[1], str) and len(node[1]) > longest:
            trial.fail(path, "too-long", text, rule)

    return check


def _facet_check(test: Test, code: str, name: str, rule: str, owner: str) -> Check:
    def check(node: Node, path: Path, trial: Trial) -> None:
        problem = None if node[1] is None else test(node[1])
        if problem is not None:
            trial.fail(path, code, f"'{name}' {problem} in {owner}.", rule)

    return check
