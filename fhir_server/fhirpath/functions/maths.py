"""Mathematics and the boundary functions of numbers. https://hl7.org/fhirpath/N1/#math"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from fhir_server.fhirpath import quantities
from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import collected
from fhir_server.fhirpath.nodes import DECIMAL, EMPTY, KINDS, NUMBERS, QUANTITY, Nodes, integer, number, single
from fhir_server.fhirpath.operators import computed

# Digits of the greatest integer.
_LARGEST = 18


def _of_number(name: str, apply: Callable[..., Any], whole: bool = False, arguments: int = 0) -> Build:
    """A function of one number. whole: the result is an integer, else a decimal. A None result is empty."""

    def on_nodes(nodes: Nodes, *others: Nodes) -> Nodes:
        values = []
        for part in (nodes, *others):
            node = single(part, f"'{name}'")
            if node is None or node[1] is None:
                return EMPTY
            if KINDS.get(node[0]) not in NUMBERS:
                raise FhirPathError(f"'{name}' works on numbers, not on {node[0]}.")
            values.append(Decimal(node[1]))
        try:
            result = apply(*values)
        except (DecimalException, ZeroDivisionError):
            return EMPTY
        if result is None or not result.is_finite() or (whole and result.adjusted() > _LARGEST):
            return EMPTY
        return number(int(result)) if whole else [(DECIMAL, result, None)]

    return collected(name, on_nodes, arguments)


def _abs(nodes: Nodes) -> Nodes:
    node = single(nodes, "'abs'")
    if node is None:
        return EMPTY
    if KINDS.get(node[0]) in NUMBERS and node[1] is not None:
        value = node[1]
        return [(KINDS[node[0]], value.copy_abs() if isinstance(value, Decimal) else abs(value), None)]
    amount = quantities.value_of(node)
    if amount is None:
        raise FhirPathError("'abs' works on numbers and quantities.")
    return [(QUANTITY, (amount[0].copy_abs(), amount[1]), None)]


def _round(nodes: Nodes, digits: Nodes = EMPTY) -> Nodes:
    node = single(nodes, "'round'")
    if node is None or node[1] is None:
        return EMPTY
    if KINDS.get(node[0]) not in NUMBERS:
        raise FhirPathError("'round' works on numbers.")
    places = integer(digits, "'round'") or 0
    if not 0 <= places <= 20:
        raise FhirPathError("'round' goes to 0 to 20 places.")
    try:
        return [(DECIMAL, Decimal(node[1]).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), None)]
    except DecimalException:
        # Already without digits at that place.
        return [(DECIMAL, Decimal(node[1]), None)]


def _power(nodes: Nodes, exponent: Nodes) -> Nodes:
    base, by = single(nodes, "'power'"), single(exponent, "'power'")
    if base is None or by is None or base[1] is None or by[1] is None:
        return EMPTY
    if KINDS.get(base[0]) not in NUMBERS or KINDS.get(by[0]) not in NUMBERS:
        raise FhirPathError("'power' works on numbers.")
    try:
        value = Decimal(base[1]) ** Decimal(by[1])
    except DecimalException:
        return EMPTY
    whole = [KINDS.get(base[0]), KINDS.get(by[0])] if value == value.to_integral_value() else [DECIMAL]
    return computed(value, *whole)


FUNCTIONS: Mapping[str, Build] = {
    "abs": collected("abs", _abs),
    "ceiling": _of_number("ceiling", lambda v: v.to_integral_value(ROUND_CEILING), whole=True),
    "floor": _of_number("floor", lambda v: v.to_integral_value(ROUND_FLOOR), whole=True),
    "truncate": _of_number("truncate", lambda v: v.to_integral_value(ROUND_DOWN), whole=True),
    "exp": _of_number("exp", lambda v: v.exp()),
    "ln": _of_number("ln", lambda v: v.ln()),
    "log": _of_number("log", lambda v, base: (v.ln() / base.ln()).quantize(Decimal("1e-20")).normalize(), arguments=1),
    "sqrt": _of_number("sqrt", lambda v: v.sqrt()),
    "power": collected("power", _power, 1),
    "round": collected("round", _round, 0, 1),
}
