"""What a unit is worth in base units, exactly.

Two readings. UCUM's own, in which a mole is a number of things and many units are the number one; and that of
comparisons (search, FHIRPath), in which such units stay apart, and so do logarithmic scales: a pH of 7 is no amount of
substance that grows with the number. https://ucum.org/ucum#section-Semantics
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from fhir_server.core.ucum.syntax import Number, Problem, Product, Simple, parse
from fhir_server.core.ucum.table import Atom, atoms

# Numbers to UCUM, but of things that nobody compares.
_APART = frozenset({"mol", "bit", "[HPF]", "[LPF]", "[hnsf'U]", "[NTU]", "[FNU]"})
# Two names of one arbitrary unit.
_NAMED = {"[iU]": "[IU]"}
# The special units that are a base unit with another zero: canonical = (value + zero) * value of the table.
ZEROS = {"Cel": Fraction("273.15"), "degF": Fraction("459.67"), "degRe": Fraction("218.52")}


@dataclass(frozen=True, slots=True)
class Measure:
    """`factor` times the product of base units. `special`: the unit on a scale of its own that the values are in; then
    `factor` is that of its prefix, and the powers are those of its function's argument."""

    factor: Fraction
    powers: Mapping[str, int]
    special: Atom | None = None

    def times(self, other: "Measure", sign: int) -> "Measure":
        """The product, or with a negative sign the quotient."""
        powers = dict(self.powers)
        for name, power in other.powers.items():
            powers[name] = powers.get(name, 0) + sign * power
        factor = self.factor * other.factor if sign > 0 else self.factor / other.factor
        return Measure(factor, {name: power for name, power in powers.items() if power})

    @property
    def dimension(self) -> str:
        """The base units with their powers, such as `g.m-3`; `1` for a number."""
        return ".".join(f"{name}{'' if n == 1 else n}" for name, n in sorted(self.powers.items())) or "1"


ONE = Measure(Fraction(1), {})


@lru_cache(maxsize=8192)
def measure(code: str, *, apart: bool) -> Measure:
    """What a code is worth. `apart`: in the reading of comparisons. Raises `Problem`."""
    tree = parse(code)
    while len(tree.of) == 1 and isinstance(tree.of[0][1], Product) and tree.of[0][0] > 0:
        tree = tree.of[0][1]
    if len(tree.of) == 1:
        sign, part = tree.of[0]
        if isinstance(part, Simple) and part.atom.function and sign > 0 and part.power == 1:
            return _special(part, apart)
    return _product(tree, apart)


def _product(tree: Product, apart: bool) -> Measure:
    found = ONE
    for sign, part in tree.of:
        if isinstance(part, Product):
            found = found.times(_product(part, apart), sign)
        elif isinstance(part, Number):
            found = found.times(Measure(Fraction(part.value), {}), sign)
        else:
            found = found.times(_simple(part, apart), sign)
    return found


def _simple(part: Simple, apart: bool) -> Measure:
    if part.atom.function:
        raise Problem(f"{part.atom.code} has a scale of its own and cannot be part of a product or a power")
    one = _atom(part.atom.code, apart)
    factor = one.factor * part.prefix.factor if part.prefix else one.factor
    powers = {name: power * part.power for name, power in one.powers.items() if part.power}
    return Measure(factor**part.power, powers)


def _special(part: Simple, apart: bool) -> Measure:
    factor = part.prefix.factor if part.prefix else Fraction(1)
    if apart and part.atom.function not in ZEROS:
        return Measure(factor, {part.atom.code: 1}, None)
    return Measure(factor, argument(part.atom).powers, part.atom)


@lru_cache(maxsize=64)
def argument(atom: Atom) -> Measure:
    """What the function of a special unit is a function of, such as mol/l of pH."""
    one = _product(parse(atom.unit or "1"), False)
    return Measure(one.factor * atom.value, one.powers)


@lru_cache(maxsize=1024)
def _atom(code: str, apart: bool) -> Measure:
    atom = atoms()[code]
    if atom.unit is None or atom.arbitrary or (apart and code in _APART):
        return Measure(Fraction(1), {_NAMED.get(code, code): 1})
    return Measure(atom.value, {}).times(_product(parse(atom.unit), apart), 1)
