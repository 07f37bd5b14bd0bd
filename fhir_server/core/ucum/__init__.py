"""UCUM: whether a code is one, what it measures, and values from one unit to another. Upper and lower case differ.

For comparisons (search, FHIRPath) amounts are brought to one canonical unit per dimension, so that 1 g is found as
1000 mg; there moles, counted fields and logarithmic scales stay dimensions of their own (`ucum.measure`).
https://ucum.org/ucum
"""

from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from functools import lru_cache

from fhir_server.core.ucum.conversion import NotCommensurable, commensurable, convert
from fhir_server.core.ucum.measure import ZEROS, argument, measure
from fhir_server.core.ucum.syntax import Problem
from fhir_server.core.ucum.texts import named, printed

__all__ = [
    "SYSTEM", "NotCommensurable", "Problem", "Unit", "canonical", "commensurable", "convert", "named", "printed",
    "problem", "unit",
]  # fmt: skip

SYSTEM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Unit:
    """`canonical value = (value + offset) * factor` in units of `canonical`, such as `g.m-3` (`1`: a plain number)."""

    factor: Decimal
    offset: Decimal
    canonical: str


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """`value` in the canonical unit of `code`'s dimension: `(Decimal("5.4"), "mmol/L")` -> `(5.4, "m-3.mol")`.

    None when the code is no UCUM code. Equal amounts give equal floats.
    """
    found = unit(code)
    if found is None:
        return None
    try:
        return (value + found.offset) * found.factor, found.canonical
    except DecimalException:
        return None


@lru_cache(maxsize=4096)
def unit(code: str) -> Unit | None:
    """Factor, offset and canonical unit of a UCUM code; None when it is none. The first call reads the table."""
    try:
        found = measure(code, apart=True)
    except Problem:
        return None
    factor, zero = found.factor, Decimal(0)
    with localcontext() as context:
        context.prec = 40
        try:
            if found.special is not None:
                factor *= argument(found.special).factor
                offset = ZEROS[found.special.function or ""] / found.factor
                zero = Decimal(offset.numerator) / Decimal(offset.denominator)
            return Unit(Decimal(factor.numerator) / Decimal(factor.denominator), zero, found.dimension)
        except DecimalException:
            return None


@lru_cache(maxsize=4096)
def problem(code: str) -> str | None:
    """What is wrong with a code, as a sentence; None when it is a UCUM code."""
    try:
        measure(code, apart=False)
    except Problem as error:
        shown = code if len(code) <= 40 else f"{code[:40]}…"
        where = f" (character {error.at})" if error.at else ""
        return f"{shown!r} is not a UCUM code: {error}{where}."
    return None
