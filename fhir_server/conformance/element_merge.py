"""What an element says once a differential is added to its base: narrower, never wider.

https://hl7.org/fhir/R4/elementdefinition.html#interpretation
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.conformance.differential import Entry
from fhir_server.conformance.element_tree import is_maximum
from fhir_server.conformance.element_types import IsA, narrowed
from fhir_server.core.errors import TooCostly

Element = dict[str, Any]
Rule = Callable[[Any, Any, Entry], Any]

# Each item of a pattern's list is looked for among the items of a value's.
_MOST_PAIRS = 100_000
_STRENGTHS = ("example", "preferred", "extensible", "required")
_RULES = ("open", "openAtEnd", "closed")
_VALUES = ("fixed", "pattern")


def merged(base: Element, entry: Entry, is_a: IsA, source: str) -> Element:
    """The element with what the entry says. `source`: url of the definition, for the constraints that it adds.

    Raises `Unprocessable` where the entry would allow what the base does not.
    """
    found = dict(base)
    for name, value in entry.element.items():
        if name in ("id", "path", "sliceName", "sliceIsConstraining", "base", "contentReference"):
            continue
        if name == "type":
            found[name] = narrowed(base.get("type", []), value, entry, is_a)
        elif name == "constraint":
            found[name] = _constraints(base.get(name, []), value, entry, source)
        elif name in base:
            found[name] = _rule(name)(base[name], value, entry)
        else:
            found[name] = value.removeprefix("...") if isinstance(value, str) and name in _TEXTS else value
    _check_values(base, found, entry, source)
    _check_cardinality(found, entry)
    return found


def most(maximum: str) -> float:
    """A `max` as a number. Raises `ValueError` for another text."""
    return float("inf") if maximum == "*" else int(maximum)


def _check_cardinality(found: Element, entry: Entry) -> None:
    if found.get("min", 0) > most(found.get("max", "*")):
        raise entry.refusal(f"min {found['min']} is more than max {found['max']}.")


def _min(base: int, wanted: int, entry: Entry) -> int:
    if wanted < base:
        raise entry.refusal(f"min {wanted} is less than the base's {base}; a profile can only ask for more.")
    return wanted


def _max(base: str, wanted: str, entry: Entry) -> str:
    if not is_maximum(wanted):
        raise entry.refusal("max is a whole number or *.")
    if most(wanted) > most(base):
        raise entry.refusal(f"max {wanted} is more than the base's {base}; a profile can only allow less.")
    return wanted


def _length(base: int, wanted: int, entry: Entry) -> int:
    if wanted > base:
        raise entry.refusal(f"maxLength {wanted} is more than the base's {base}.")
    return wanted


def _text(base: str, wanted: str, _: Entry) -> str:
    """`...` goes on with what the base says. https://hl7.org/fhir/R4/elementdefinition.html#interpretation"""
    return f"{base}\n{wanted[3:]}" if wanted.startswith("...") else wanted


def _added(base: list[Any], wanted: list[Any], _: Entry) -> list[Any]:
    return [*base, *(value for value in wanted if value not in base)]


def _extensions(base: list[Element], wanted: list[Element], _: Entry) -> list[Element]:
    urls = {extension.get("url") for extension in wanted}
    return [*(extension for extension in base if extension.get("url") not in urls), *wanted]


def _kept_true(base: bool, wanted: bool, entry: Entry) -> bool:
    if base and not wanted:
        raise entry.refusal("mustSupport is true in the base and stays true.")
    return wanted


def _modifier(base: bool, wanted: bool, entry: Entry) -> bool:
    if base and not wanted:
        raise entry.refusal("isModifier is true in the base: what changes the meaning of others goes on doing so.")
    return wanted


def _binding(base: Element, wanted: Element, entry: Entry) -> Element:
    """https://hl7.org/fhir/R4/terminologies.html#strength"""
    held, asked = base.get("strength", "example"), wanted.get("strength", base.get("strength", "example"))
    if asked not in _STRENGTHS or _STRENGTHS.index(asked) < _STRENGTHS.index(held):
        raise entry.refusal(f"the binding is {held} in the base and cannot become {asked}.")
    kept: Element = {name: base[name] for name in ("strength", "valueSet") if name in base}
    return {**kept, **wanted}


def _slicing(base: Element, wanted: Element, entry: Entry) -> Element:
    """https://hl7.org/fhir/R4/profiling.html#slicing"""
    held, asked = base.get("rules", "open"), wanted.get("rules", base.get("rules", "open"))
    if asked not in _RULES or _RULES.index(asked) < _RULES.index(held):
        raise entry.refusal(f"the slicing is {held} in the base and cannot become {asked}.")
    if base.get("ordered") and wanted.get("ordered") is False:
        raise entry.refusal("the slices are ordered in the base and stay so.")
    discriminators = _added(base.get("discriminator", []), wanted.get("discriminator", []), entry)
    return {**base, **wanted, **({"discriminator": discriminators} if discriminators else {})}


def _constraints(base: list[Element], wanted: list[Element], entry: Entry, source: str) -> list[Element]:
    """The base's stay; one that is repeated says the same."""
    held = {constraint.get("key"): constraint for constraint in base}
    added = []
    for constraint in wanted:
        known = held.get(constraint.get("key"))
        if known is None:
            added.append(constraint if "source" in constraint else {**constraint, "source": source})
            held[constraint.get("key")] = constraint
        elif known.get("expression") != constraint.get("expression"):
            raise entry.refusal(f"the constraint {constraint.get('key')} exists with another expression: rename yours.")
    return [*base, *added]


def _check_values(base: Element, found: Element, entry: Entry, source: str) -> None:
    """A fixed value stays, a pattern may be added to, and a fixed value fits the pattern that was there.

    An extension that is made of another one has its own url (`source`) instead of that one's.
    """
    for name, value in base.items():
        if name.startswith("fixed") and found[name] not in (value, source):
            raise entry.refusal(f"{name} is given by the base and cannot be another.")
        if name.startswith("pattern"):
            later = found.get(f"fixed{name[7:]}", found[name])
            if not fits(later, value):
                raise entry.refusal(f"{name} is given by the base; what you write has to contain it.")
    for kind in (*_VALUES, "minValue", "maxValue", "defaultValue"):
        given = [name for name in found if name.startswith(kind)]
        if len(given) > 1:
            raise entry.refusal(f"there is one {kind}[x]; here are {', '.join(given)}.")


def fits(value: Any, pattern: Any, left: list[int] | None = None) -> bool:
    """Whether a value has all that a pattern says. https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_"""
    left = [_MOST_PAIRS] if left is None else left
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(n in value and fits(value[n], p, left) for n, p in pattern.items())
    if isinstance(pattern, list):
        if not isinstance(value, list):
            return False
        left[0] -= len(value) * len(pattern)
        if left[0] < 0:
            raise TooCostly("A pattern of so many values takes too long to compare.")
        return all(any(fits(item, p, left) for item in value) for p in pattern)
    return bool(value == pattern)


def _replaced(_base: Any, wanted: Any, _: Entry) -> Any:
    return wanted


_TEXTS = frozenset({"definition", "comment", "requirements", "meaningWhenMissing"})
_BY_NAME: Mapping[str, Rule] = {
    "min": _min, "max": _max, "maxLength": _length, "binding": _binding, "slicing": _slicing,
    "mustSupport": _kept_true, "isModifier": _modifier, "extension": _extensions, "modifierExtension": _extensions,
    "alias": _added, "example": _added, "mapping": _added, "condition": _added, "code": _added,
    "representation": _added, **dict.fromkeys(_TEXTS, _text),
}  # fmt: skip


def _rule(name: str) -> Rule:
    return _BY_NAME.get(name, _replaced)
