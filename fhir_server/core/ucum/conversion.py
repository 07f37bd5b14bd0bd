"""Values from one unit to another, exactly where UCUM's own figures are exact.

A scale of its own (Celsius, pH, bel) is a function of an amount in ordinary units.
https://ucum.org/ucum#section-Special-Units-on-non-ratio-Scales
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException, Inexact, localcontext
from fractions import Fraction

from fhir_server.core.ucum.measure import ZEROS, Measure, argument, measure

# Figures of a result that does not end, or not within so many.
DIGITS, _MOST_DIGITS = 18, 34
_PRECISION = 60
_FURTHEST = 400


class NotCommensurable(ValueError):
    """The units measure different things."""


def commensurable(source: str, target: str) -> bool:
    """Whether values can be converted, in UCUM's own reading: a mole is a number. Raises `Problem`."""
    return measure(source, apart=False).powers == measure(target, apart=False).powers


def convert(value: Decimal, source: str, target: str) -> Decimal:
    """`value` in another unit: exact when it ends within 34 figures, else rounded to 18 (on logarithmic and angular
    scales always). Raises `Problem` (of either code), `NotCommensurable`, and `OverflowError` beyond 1e400."""
    of, to = measure(source, apart=False), measure(target, apart=False)
    if of.powers != to.powers:
        kinds = [measure(code, apart=True).dimension for code in (source, target)]
        raise NotCommensurable(f"{source} and {target} measure different things: {kinds[0]} and {kinds[1]}.")
    if abs(value.adjusted()) > _FURTHEST:
        raise OverflowError("the value is too large or too small")
    with localcontext() as context:
        context.prec = _PRECISION
        try:
            return _rounded(_onto(_amount(Fraction(value), of), to), _is_exact(of) and _is_exact(to))
        except DecimalException:
            raise OverflowError("the value is too large or too small") from None


def _amount(value: Fraction, of: Measure) -> Fraction:
    """In base units."""
    if of.special is None:
        return value * of.factor
    one = argument(of.special)
    return _FUNCTIONS[of.special.function or ""][1](value * of.factor) * one.factor


def _onto(amount: Fraction, to: Measure) -> Fraction:
    if to.special is None:
        return amount / to.factor
    one = argument(to.special)
    return _FUNCTIONS[to.special.function or ""][0](amount / one.factor) / to.factor


def _is_exact(of: Measure) -> bool:
    return of.special is None or of.special.function in ZEROS


def _rounded(value: Fraction, exact: bool) -> Decimal:
    over, under = Decimal(value.numerator), Decimal(value.denominator)
    with localcontext() as context:
        if exact:
            context.prec, context.traps[Inexact] = _MOST_DIGITS, True
            try:
                return _plain(over / under)
            except Inexact:
                context.traps[Inexact] = False
        context.prec = DIGITS
        return _plain(over / under)


def _plain(value: Decimal) -> Decimal:
    """Without zeros at the end, and without an exponent where there is room for the zeros."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if 0 <= short.adjusted() < DIGITS and short == short.to_integral() else short


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _level(base: int | None, times: int = 1) -> "_Function":
    """So many times the logarithm to a base; None: the natural one."""

    def of_amount(amount: Fraction) -> Fraction:
        if amount <= 0:
            raise OverflowError("a logarithmic scale has no value for zero or less")
        logarithm = _decimal(amount).ln()
        return times * Fraction(logarithm if base is None else logarithm / Decimal(base).ln())

    def of_value(value: Fraction) -> Fraction:
        exponent = _decimal(value / times)
        if abs(exponent) > _FURTHEST:
            raise OverflowError("the value is too large or too small")
        return Fraction(exponent.exp() if base is None else Decimal(base) ** exponent)

    return of_amount, of_value


def _root(amount: Fraction) -> Fraction:
    if amount < 0:
        raise OverflowError("a square root has no value below zero")
    return Fraction(_decimal(amount).sqrt())


def _zero(name: str) -> "_Function":
    zero = ZEROS[name]
    return lambda amount: amount - zero, lambda value: value + zero


# From the amount to the value, and back.
_Function = tuple[Callable[[Fraction], Fraction], Callable[[Fraction], Fraction]]
_FUNCTIONS: Mapping[str, _Function] = {
    **{name: _zero(name) for name in ZEROS},
    "pH": _level(10, -1),
    "ln": _level(None),
    "lg": _level(10),
    "lgTimes2": _level(10, 2),
    "ld": _level(2),
    "hpX": _level(10, -1),
    "hpC": _level(100, -1),
    "hpM": _level(1000, -1),
    "hpQ": _level(50000, -1),
    "sqrt": (_root, lambda value: value * value),
    "tanTimes100": (
        lambda angle: Fraction(100 * math.tan(angle)),
        lambda value: Fraction(math.atan(value / 100)),
    ),
    "100tan": (
        lambda angle: Fraction(100 * math.tan(math.radians(angle))),
        lambda value: Fraction(math.degrees(math.atan(value / 100))),
    ),
}
