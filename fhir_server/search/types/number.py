"""number parameters and the arithmetic of implicit precision. https://hl7.org/fhir/R4/search.html#number"""

import re
from collections.abc import Sequence
from decimal import Decimal

from fhir_server.core.keys import param_id, unit_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.elements import single_valued
from fhir_server.search.ranges import QuantityIs
from fhir_server.search.tree import Node, any_of

_NUMBER = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?)\Z")
EXPECTED = "a number such as 100, 5.40 or 1e2, with an optional prefix (eq ne gt lt ge le sa eb ap)"
_TENTH = Decimal("0.1")


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a number parameter."""
    if asked.modifier:
        raise asked.bad_modifier(("missing",))
    param, unit = param_id(asked.resource_type, asked.param.code), unit_key(None, None)
    single = single_valued(asked.registry, asked.param)

    def match(values: Sequence[str], asker: Asker) -> Node:
        found: list[Node] = []
        for value in values:
            op, a, b = bounds(asked, value)
            found.append(QuantityIs(param, unit, op, float(a), float(b), single))
        return any_of(found)

    return match


def bounds(asked: Asked, text: str, expected: str = EXPECTED) -> tuple[str, Decimal, Decimal]:
    """Prefix and the two ends to compare with: for `eq` and `ne` the range of the number's precision (100 is
    99.5..100.5), for `ap` a tenth more and less, otherwise the number itself twice."""
    # A plus sign that was not encoded arrives as a space.
    match = _NUMBER.match(text.replace(" ", "+"))
    if match is None:
        raise asked.bad_value(expected)
    op, number = match[1] or "eq", Decimal(match[2])
    if op in ("eq", "ne"):
        half = half_step(number)
        return op, number - half, number + half
    if op == "ap":
        margin = abs(number) * _TENTH
        return op, number - margin, number + margin
    return op, number, number


def half_step(number: Decimal) -> Decimal:
    """Half a unit of the last digit written."""
    exponent = number.as_tuple().exponent
    return Decimal(5).scaleb(int(exponent) - 1)
