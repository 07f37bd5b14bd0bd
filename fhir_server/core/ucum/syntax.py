"""UCUM expressions read into trees: products and quotients of units with prefixes and powers, case sensitive.

https://ucum.org/ucum#section-Syntax-Rules
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_server.core.ucum.table import Atom, Prefix, atoms, prefixes

LONGEST = 200
_MOST_POWER = 99
_DEEPEST = 20
_SYMBOL = re.compile(r"(?:\[[^\[\]]*\]|[^\[\]./(){}])+")
_POWER = re.compile(r"(?P<unit>.*[^0-9+-])(?P<power>[+-]?[0-9]+)")
# What is often written instead of a code.
_MISTAKES = {
    "mmHg": "mm[Hg]", "cmH2O": "cm[H2O]", "mcg": "ug", "cc": "mL", "hr": "h", "hrs": "h", "hour": "h", "sec": "s",
    "mins": "min", "minute": "min", "day": "d", "days": "d", "week": "wk", "weeks": "wk", "month": "mo",
    "months": "mo", "yr": "a", "year": "a", "years": "a", "degC": "Cel", "degF": "[degF]", "lb": "[lb_av]",
    "lbs": "[lb_av]", "oz": "[oz_av]", "inch": "[in_i]", "in": "[in_i]", "ft": "[ft_i]", "bpm": "{beats}/min",
    "mEq": "meq", "Eq": "eq", "gm": "g", "percent": "%",
}  # fmt: skip
# Annotations of R4's own list of common units have blanks in them, which UCUM does not allow.
_NOTE = re.compile(r"\{[ -~]*?\}")
_LEADING_NUMBER = re.compile(r"[0-9]+(?=[^0-9*^])")


class Problem(ValueError):
    """A text that is no UCUM code. `at`: the place of the first character that is wrong, from 1; 0 for the whole."""

    def __init__(self, text: str, at: int = 0) -> None:
        super().__init__(text)
        self.at = at


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number; 1 with a note is an annotation that stands alone."""

    value: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Simple:
    """A unit with its prefix, its power and its annotation, braces included."""

    prefix: Prefix | None
    atom: Atom
    power: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """Factors with the signs of their powers: a number, a unit, or a product in parentheses."""

    of: tuple[tuple[int, "Part"], ...]
    note: str = ""


Part = Number | Simple | Product


def parse(code: str) -> Product:
    """The expression as a tree. Raises `Problem`."""
    if not code:
        raise Problem("it is empty; a plain number has the unit 1", 1)
    if len(code) > LONGEST:
        raise Problem(f"it is longer than {LONGEST} characters", LONGEST + 1)
    for at, char in enumerate(_NOTE.sub(_blanked, code), 1):
        if not "!" <= char <= "~":
            what = "a blank" if char.isspace() else "a character outside ASCII" if char > "~" else "a control character"
            raise Problem(f"{what} cannot stand in a code", at)
    reader = _Reader(code)
    found = reader.term(leading=True)
    if reader.at < len(code):
        raise Problem("a parenthesis is closed that was not opened", reader.at + 1)
    return found


def _blanked(note: re.Match[str]) -> str:
    return "_" * len(note[0])


class _Reader:
    """Recursive descent; `.` and `/` have equal rank and are taken from left to right."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._depth = 0
        self.at = 0

    def term(self, *, leading: bool = False) -> Product:
        """Components up to the end or a closing parenthesis. `leading`: a `/` may stand first."""
        found: list[tuple[int, Part]] = []
        sign = 1
        if leading and self._next() == "/":
            sign, self.at = -1, 1
        while True:
            found.append((sign, self._component()))
            char = self._next()
            if char in ("", ")"):
                return Product(tuple(found))
            if char not in "./":
                raise Problem("a dot or a slash is expected", self.at + 1)
            sign = 1 if char == "." else -1
            self.at += 1

    def _next(self) -> str:
        return self._code[self.at : self.at + 1]

    def _component(self) -> Part:
        char, start = self._next(), self.at
        if char == "(":
            return self._parenthesis(start)
        if char == "{":
            return Number(1, self._annotation())
        match = _SYMBOL.match(self._code, self.at)
        if match is None:
            raise Problem(_missing(char, self.at), self.at + 1)
        self.at = match.end()
        return replace(_symbol(match[0], start), note=self._annotation())

    def _parenthesis(self, start: int) -> Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Problem(f"parentheses are nested deeper than {_DEEPEST}", start + 1)
        self.at += 1
        inner = self.term()
        if self._next() != ")":
            raise Problem("this parenthesis is not closed", start + 1)
        self.at += 1
        self._depth -= 1
        return replace(inner, note=self._annotation())

    def _annotation(self) -> str:
        if self._next() != "{":
            return ""
        start = self.at
        end = self._code.find("}", self.at)
        if end < 0 or "{" in self._code[self.at + 1 : end]:
            raise Problem("this brace is not closed", self.at + 1)
        self.at = end + 1
        return self._code[start : end + 1]


def _missing(char: str, at: int) -> str:
    if char and char in "[]":
        return "a square bracket has no partner"
    if char == "}":
        return "a brace is closed that was not opened"
    return "a unit is expected" if char or not at else "it ends with an operator"


def _symbol(text: str, start: int) -> Number | Simple:
    if text.isdigit():
        if not int(text):
            raise Problem("zero is no unit", start + 1)
        return Number(int(text))
    found = simple(text)
    if found is not None:
        return found
    match = _POWER.fullmatch(text)
    found = simple(match["unit"]) if match else None
    if match is None or found is None:
        raise Problem(_unknown(match["unit"] if match else text), start + 1)
    power = int(match["power"]) if len(match["power"]) < 5 else _MOST_POWER + 1
    if abs(power) > _MOST_POWER:
        raise Problem(f"the power is greater than {_MOST_POWER}", start + match.start("power") + 1)
    return Simple(found.prefix, found.atom, power)


@lru_cache(maxsize=4096)
def simple(text: str) -> Simple | None:
    """A unit with or without prefix; None when there is none such."""
    atom = atoms().get(text)
    if atom is not None:
        return Simple(None, atom)
    for code, prefix in prefixes().items():
        if text.startswith(code):
            atom = atoms().get(text[len(code) :])
            if atom is not None and atom.metric:
                return Simple(prefix, atom)
    return None


def _unknown(text: str) -> str:
    number = _LEADING_NUMBER.match(text)
    if number and simple(text[number.end() :]) is not None:
        return f"a number and a unit are joined by a dot: {number[0]}.{text[number.end() :]}"
    if text in _MISTAKES:
        return f"{text!r} is no unit; it is {_MISTAKES[text]}"
    alike = _by_letters().get(text.casefold(), ())
    if alike:
        return f"{text!r} is no unit; upper and lower case differ: {' or '.join(alike[:3])}"
    if simple(f"[{text}]") is not None:
        return f"{text!r} is no unit; it is written with brackets: [{text}]"
    for code in prefixes():
        rest = atoms().get(text[len(code) :]) if text.startswith(code) else None
        if rest is not None:
            return f"{text!r} is no unit; {rest.code} takes no prefix"
    return f"{text!r} is no unit"


@lru_cache(maxsize=1)
def _by_letters() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    every = [*atoms(), *(prefix + atom.code for prefix in prefixes() for atom in atoms().values() if atom.metric)]
    for code in every:
        found.setdefault(code.casefold(), []).append(code)
    return found
