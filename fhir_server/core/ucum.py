"""UCUM codes brought to one canonical unit per dimension, so that 1 g is found as 1000 mg.

The table (terminology/ucum/units.json) holds the units in clinical use; prefixes, products, quotients and powers are
parsed. Moles stay a dimension of their own, unlike in UCUM, where they are a number. https://ucum.org/ucum
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException, localcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

SYSTEM = "http://unitsofmeasure.org"

_TABLE = Path(__file__).resolve().parents[2] / "terminology" / "ucum" / "units.json"
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_LONE_ANNOTATION = re.compile(r"(?:\A|(?<=[/.(]))\{[^{}]*\}")
_LEXEME = re.compile(r"[./()]|(?:\[[^\]]*\]|[^\[\]./()])+")
_POWER = re.compile(r"(?P<unit>.*?[^0-9+-]|10[*^])(?P<power>[+-]?[0-9]{1,2})\Z")
_LONGEST = 100
_OPERATORS = {".": 1, "/": -1}


@dataclass(frozen=True, slots=True)
class Unit:
    """`canonical value = (value + offset) * factor` in units of `canonical`, such as `g.m-3` (`1`: a plain number)."""

    factor: Decimal
    offset: Decimal
    canonical: str


@dataclass(frozen=True, slots=True)
class _Measure:
    factor: Decimal
    powers: Mapping[str, int]

    def times(self, other: "_Measure", sign: int) -> "_Measure":
        powers = dict(self.powers)
        for name, power in other.powers.items():
            powers[name] = powers.get(name, 0) + sign * power
        factor = self.factor * other.factor if sign > 0 else self.factor / other.factor
        return _Measure(factor, {name: power for name, power in powers.items() if power})

    def raised(self, power: int) -> "_Measure":
        return _Measure(self.factor**power, {name: p * power for name, p in self.powers.items() if power})


class _Unknown(ValueError):
    """A code with a unit that is not in the table, or not a UCUM code at all."""


_NUMBER = _Measure(Decimal(1), {})


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """`value` in the canonical unit of `code`'s dimension: `(Decimal("5.4"), "mmol/L")` -> `(5.4, "m-3.mol")`.

    None when the code is not one that the table knows. Equal amounts give equal floats. Case matters in UCUM.
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
    """Factor, offset and canonical unit of a UCUM code; None when unknown. The first call reads the table."""
    table = _table()
    if code in table["special"]:
        factor, offset = table["special"][code]
        over, _, under = factor.partition("/")
        return Unit(Decimal(over) / Decimal(under or 1), Decimal(offset), "K")
    if not code or len(code) > _LONGEST:
        return None
    try:
        with localcontext() as context:
            context.prec = 40
            measure = _parse(code)
            return Unit(measure.factor, Decimal(0), _dimension(measure.powers))
    except (_Unknown, DecimalException, RecursionError):
        return None


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def _dimension(powers: Mapping[str, int]) -> str:
    return ".".join(f"{name}{'' if power == 1 else power}" for name, power in sorted(powers.items())) or "1"


def _parse(code: str) -> _Measure:
    bare = _ANNOTATION.sub("", _LONE_ANNOTATION.sub("1", code))
    if "{" in bare or "}" in bare or any(c <= " " or c > "~" for c in bare):
        raise _Unknown
    lexemes = _LEXEME.findall(bare)
    if "".join(lexemes) != bare:
        raise _Unknown
    measure, rest = _term(lexemes, 0)
    if rest != len(lexemes):
        raise _Unknown
    return measure


def _term(lexemes: list[str], at: int) -> tuple[_Measure, int]:
    # Left to right, `.` and `/` with equal rank; only a leading `/` has nothing before it.
    measure, sign = _NUMBER, 1
    if at < len(lexemes) and lexemes[at] == "/":
        sign, at = -1, at + 1
    while at < len(lexemes):
        if lexemes[at] == "(":
            part, at = _term(lexemes, at + 1)
            if at >= len(lexemes) or lexemes[at] != ")":
                raise _Unknown
        else:
            part = _component(lexemes[at])
        measure, at = measure.times(part, sign), at + 1
        if at >= len(lexemes) or lexemes[at] == ")":
            return measure, at
        if lexemes[at] not in _OPERATORS:
            raise _Unknown
        sign, at = _OPERATORS[lexemes[at]], at + 1
    raise _Unknown


def _component(text: str) -> _Measure:
    if text.isdigit():
        return _Measure(Decimal(text), {})
    match = _POWER.match(text)
    if match:
        return _simple(match["unit"]).raised(int(match["power"]))
    return _simple(text)


@lru_cache(maxsize=4096)
def _simple(text: str) -> _Measure:
    found = _atom(text)
    if found is not None:
        return found[0]
    for prefix, exponent in _table()["prefixes"].items():
        if text.startswith(prefix):
            metric = _atom(text[len(prefix) :])
            if metric is not None and metric[1]:
                return _Measure(metric[0].factor.scaleb(exponent), metric[0].powers)
    raise _Unknown


@lru_cache(maxsize=1024)
def _atom(code: str) -> tuple[_Measure, bool] | None:
    """The measure of a unit without prefix, and whether prefixes may stand before it."""
    table = _table()
    code = table["alias"].get(code, code)
    if code in table["base"]:
        return _Measure(Decimal(1), {code: 1}), True
    if code in table["arbitrary"]:
        return _Measure(Decimal(1), {code: 1}), bool(table["arbitrary"][code])
    if code not in table["atoms"]:
        return None
    value, of, metric = table["atoms"][code]
    inner = _parse(of)
    return _Measure(Decimal(value) * inner.factor, inner.powers), bool(metric)
