"""Attributes in expression constraints: the properties of concepts, compared with what is wanted.

https://confluence.ihtsdotools.org/display/DOCECL/6.2+Refinements, 6.3 (reversed), 6.7 (dotted)
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from fhir_server.core.spans import Spans
from fhir_server.terminology.ecl_refinement import Among, Attribute, Cardinality, Refinement, refused
from fhir_server.terminology.ecl_tokens import unquoted
from fhir_server.terminology.systems import System

_SIGNS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def names_among(system: System, concepts: Spans) -> list[str]:
    """The properties that are concepts, those among these."""
    return [name for name, number in system.numbers(system.properties).items() if number in concepts]


def attribute(
    system: System, names: Sequence[str], sign: str, wanted: Spans | str, cardinality: Cardinality, *, reverse: bool
) -> Refinement:
    """The condition that a concept has one of the attributes with such a value; reversed: that it is the value of one
    of the wanted concepts. Raises `Unprocessable` for a comparison that there is not."""
    if sign not in (_SIGNS if isinstance(wanted, str) and wanted[0] == "#" else ("=", "!=")):
        raise refused(f"an attribute is compared with = or !=, a number also with < <= > >=, not {sign or 'the end'!r}")
    if reverse:
        if isinstance(wanted, str) or sign != "=":
            raise refused("a reversed attribute is written as R code = concepts")
        return Among(pointed_at(system, names, wanted, cardinality))
    pairs = {(name, value): spans for name in names for value, spans in _fitting(system, name, sign, wanted)}
    return Attribute(pairs, cardinality)


def pointed_at(system: System, names: Sequence[str], concepts: Spans, cardinality: Cardinality) -> Spans:
    """The concepts that attributes of these concepts point at, each from so many of them."""
    counts: Counter[str] = Counter()
    for name in names:
        for value, having in system.values(name):
            counts[value] += len(having & concepts)
    numbers = system.numbers(value for value, count in counts.items() if count)
    by_number = {number: counts[value] for value, number in numbers.items()}
    return cardinality.of(lambda least: Spans.of(n for n, c in by_number.items() if c >= least), system.every())


def _fitting(system: System, name: str, sign: str, wanted: Spans | str) -> Iterator[tuple[str, Spans]]:
    pairs = list(system.values(name))
    if isinstance(wanted, str):
        yield from (pair for pair in pairs if _compares(pair[0], sign, wanted))
        return
    numbers = system.numbers(value for value, _ in pairs)
    for value, concepts in pairs:
        if ((number := numbers.get(value)) is not None and number in wanted) is (sign == "="):
            yield value, concepts


def _compares(value: str, sign: str, wanted: str) -> bool:
    if wanted[0] == "#":
        try:
            return _SIGNS[sign](Decimal(value), Decimal(wanted[1:]))
        except InvalidOperation:
            return False
    text = unquoted(wanted) if wanted[0] == '"' else wanted.lower()
    return (value == text) is (sign == "=")
