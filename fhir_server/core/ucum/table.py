"""UCUM's own table of prefixes and units, read as it is published (terminology/ucum/NOTICE.md). https://ucum.org/ucum"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

_ESSENCE = Path(__file__).resolve().parents[3] / "terminology" / "ucum" / "ucum-essence.xml"
_NS = "{http://unitsofmeasure.org/ucum-essence}"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix such as `m`: its factor, its name and how it is printed."""

    code: str
    factor: Fraction
    name: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Atom:
    """A unit without prefix. It is `value` times `unit` (a UCUM expression); a base unit has none. `metric`: it takes
    prefixes; `arbitrary`: comparable with nothing else; `function`: name of the function of a special unit, of which
    value and unit are the argument; `kind`: what it measures."""

    code: str
    name: str
    symbol: str
    kind: str
    metric: bool
    arbitrary: bool = False
    value: Fraction = Fraction(1)
    unit: str | None = None
    function: str | None = None


@lru_cache(maxsize=1)
def prefixes() -> Mapping[str, Prefix]:
    """The prefixes by code, longer ones first."""
    found = []
    for item in _root().iter(f"{_NS}prefix"):
        value = item.find(f"{_NS}value")
        factor = Fraction(value.get("value", "1") if value is not None else 1)
        found.append(Prefix(item.get("Code", ""), factor, _text(item, "name"), _text(item, "printSymbol")))
    return {each.code: each for each in sorted(found, key=lambda each: -len(each.code))}


@lru_cache(maxsize=1)
def atoms() -> Mapping[str, Atom]:
    """Base units and units by code."""
    found: dict[str, Atom] = {}
    for item in _root():
        if item.tag in (f"{_NS}base-unit", f"{_NS}unit"):
            atom = _atom(item)
            found[atom.code] = atom
    return found


def _atom(item: ElementTree.Element) -> Atom:
    code = item.get("Code", "")
    told = code, _text(item, "name"), _text(item, "printSymbol") or code, _text(item, "property")
    value = item.find(f"{_NS}value")
    if value is None:
        return Atom(*told, metric=True)
    function = item.find(f"{_NS}value/{_NS}function")
    given = value if function is None else function
    return Atom(
        *told,
        metric=item.get("isMetric") == "yes",
        arbitrary=item.get("isArbitrary") == "yes",
        value=Fraction(given.get("value", "1")),
        unit=given.get("Unit", "1"),
        function=None if function is None else function.get("name"),
    )


def _root() -> ElementTree.Element:
    return ElementTree.parse(_ESSENCE).getroot()


def _text(item: ElementTree.Element, name: str) -> str:
    found = item.find(f"{_NS}{name}")
    return "" if found is None else " ".join("".join(found.itertext()).split())
