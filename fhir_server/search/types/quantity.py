"""quantity parameters: number|system|code, brought to canonical UCUM units. https://hl7.org/fhir/R4/search.html#quantity"""

from collections.abc import Sequence
from decimal import Decimal

from fhir_server.core import ucum
from fhir_server.core.keys import param_id, unit_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.elements import single_valued
from fhir_server.search.escape import split, unescape
from fhir_server.search.ranges import QuantityIs
from fhir_server.search.tree import Node, any_of
from fhir_server.search.types.number import bounds

EXPECTED = (
    "number, number|system|code or number||code, with an optional prefix (eq ne gt lt ge le sa eb ap),"
    " for example gt5.4|http://unitsofmeasure.org|mg"
)


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a quantity parameter."""
    if asked.modifier:
        raise asked.bad_modifier(("missing",))
    param = param_id(asked.resource_type, asked.param.code)

    def match(values: Sequence[str], asker: Asker) -> Node:
        return any_of([compare(asked, param, value) for value in values])

    return match


def compare(asked: Asked, param: int, value: str, prefix: str = "") -> Node:
    """The condition for one value. `prefix`: the token form of a composite, part of the unit key."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) not in (1, 3) or (len(parts) == 3 and not parts[2]):
        raise asked.bad_value(EXPECTED)
    op, a, b = bounds(asked, parts[0], EXPECTED)
    system, code = (parts[1] or None, parts[2]) if len(parts) == 3 else (None, None)
    single = not prefix and single_valued(asked.registry, asked.param)
    as_given = _is(param, unit_key(system, code, prefix), op, a, b, single)
    if code is None or system not in (None, ucum.SYSTEM):
        return as_given
    low, high = ucum.canonical(a, code), ucum.canonical(b, code)
    if low is None or high is None:
        return as_given
    canonical = _is(param, unit_key("ucum:canonical", low[1], prefix), op, low[0], high[0], single)
    return canonical if system else any_of([canonical, as_given])


def _is(param: int, unit: int, op: str, a: Decimal, b: Decimal, single: bool) -> Node:
    return QuantityIs(param, unit, op, float(a), float(b), single)
