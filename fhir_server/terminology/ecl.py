"""SNOMED CT's Expression Constraint Language over any system with a hierarchy.

Hierarchy operators, top and bottom of a set, `^`, AND, OR, MINUS, parentheses, `*`, dotted attributes, and refinements
with groups, cardinalities, reversed attributes and concrete values, and filters on terms and concepts. Not: filters on
members, history, alternate identifiers.
https://confluence.ihtsdotools.org/display/DOCECL
"""

import re
from collections.abc import Callable, Mapping

from fhir_server.core.errors import TooCostly
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.ecl_attributes import attribute, names_among, pointed_at
from fhir_server.terminology.ecl_ends import BOTTOM, TOP, end_of
from fhir_server.terminology.ecl_filters import Criterion, passing
from fhir_server.terminology.ecl_refinement import Cardinality, Grouped, Joined, Refinement, refused
from fhir_server.terminology.ecl_tokens import CARDINALITY, tokens, unquoted
from fhir_server.terminology.systems import System

REFSET = "refset"
_LONGEST, _DEEPEST, _MOST, _MOST_OPERATORS = 4000, 20, 1000, 100
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ENDS = frozenset({TOP, BOTTOM})
_HIERARCHY = frozenset({"<", "<<", ">", ">>", "<!", ">!", "<<!", ">>!", *_ENDS})
_WITH_ITSELF = frozenset({"<<", ">>", "<<!", ">>!"})
_OF_EVERY = _WITH_ITSELF | _ENDS


def selected(system: System, expression: str) -> Spans:
    """The concepts of an expression constraint. Raises `Unprocessable` for what is not understood here, and for a code
    that the system does not have; `TooCostly` for what takes too much work."""
    if len(expression) > _LONGEST:
        raise TooCostly(f"An expression constraint has at most {_LONGEST} characters here.")
    return _Reader(system, _COMMENT.sub(" ", expression)).whole()


class _Reader:
    def __init__(self, system: System, text: str) -> None:
        self._system = system
        self._tokens = tokens(text)
        self._place = 0
        self._depth = 0
        self._left = _MOST_OPERATORS

    def whole(self) -> Spans:
        found = self._compound()
        if self._peek():
            raise refused(f"{self._peek()!r} is not expected there")
        return found

    def _peek(self, further: int = 0) -> str:
        place = self._place + further
        return self._tokens[place] if place < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._place += 1
        return token

    def _close(self, mark: str) -> None:
        if self._next() != mark:
            raise refused(f"a {mark} is missing")

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TooCostly(f"An expression constraint is nested at most {_DEEPEST} deep here.")

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooCostly(f"An expression constraint has at most {_MOST_OPERATORS} operators, an attribute for ten.")

    # -- sets of concepts ----------------------------------------------------------------------------------------------

    def _compound(self) -> Spans:
        self._enter()
        found = self._refined()
        joined = ""
        while self._peek().upper() in _JOINS:
            word = self._next().upper()
            word = "AND" if word == "," else word
            if joined and (word != joined or word == "MINUS"):
                raise refused(f"{joined} and {word} need parentheses to say which comes first")
            joined = word
            found = _JOINS[word](found, self._refined())
        self._depth -= 1
        return found

    def _refined(self) -> Spans:
        found = self._focus()
        while self._peek() == ".":
            self._next()
            found = self._values_of(found)
        if self._peek() != ":":
            return found
        self._next()
        return self._refinement().concepts(self._system, found)

    def _values_of(self, concepts: Spans) -> Spans:
        """What an attribute of the concepts points at."""
        self._spend(10)
        return pointed_at(self._system, self._names(), concepts, Cardinality())

    def _focus(self) -> Spans:
        every = self._peek() == "*" or (self._peek() in _OF_EVERY and self._peek(1) == "*")
        found = self._unfiltered()
        told = False
        while self._peek() == "{" and self._peek(1) == "{":
            of_concepts, criteria = self._filter()
            told |= of_concepts and any(each.name == "active" for each in criteria)
            found = passing(self._system, found, criteria, of_concepts=of_concepts)
        # Constraints are about what is in use, unless they say otherwise.
        return found - self._system.inactive() if every and not told else found

    def _filter(self) -> tuple[bool, list[Criterion]]:
        """What stands in `{{ }}`: whether it is about concepts (C) or descriptions (D), and the criteria."""
        self._spend(10)
        self._place += 2
        about = self._next().upper() if self._peek().upper() in ("C", "D", "M") else "D"
        if about == "M":
            raise refused("filters on members of reference sets are not understood here")
        criteria = [self._criterion()]
        while self._peek() == ",":
            self._next()
            criteria.append(self._criterion())
        self._close("}")
        self._close("}")
        return about == "C", criteria

    def _criterion(self) -> Criterion:
        name, sign = self._next(), self._next()
        if sign not in ("=", "!="):
            raise refused(f"a filter is written as name = value, not {name} {sign}")
        kind = "match"
        if self._peek().lower() in ("match", "wild") and self._peek(1) == ":":
            kind = self._next().lower()
            self._next()
        values = [self._plain()] if self._peek() != "(" else []
        if not values:
            self._next()
            while self._peek() not in (")", ""):
                values.append(self._plain())
            self._close(")")
        return Criterion(name, sign == "!=", values, kind)

    def _plain(self) -> str:
        """A text without its quotes, or a word."""
        token = self._next()
        if token[:1] != '"' and not token[:1].isalnum():
            raise refused(f"a value was expected, not {token or 'the end'!r}")
        return unquoted(token)

    def _unfiltered(self) -> Spans:
        operator = self._next() if self._peek() in _HIERARCHY else ""
        if self._peek() == "^":
            self._next()
            return self._around(operator, self._members())
        token = self._next()
        if token == "(":
            found = self._compound()
            self._close(")")
            return self._around(operator, found)
        if token == "*":
            return self._of_all(operator)
        return self._around(operator, self._one(token))

    def _members(self) -> Spans:
        """The members of reference sets, which need not be concepts of the edition that is here."""
        token = self._next()
        self._spend(1)
        if token == "*":
            return Spans([span for _, members in self._system.values(REFSET) for span in members.ranges])
        if token == "(":
            sets = self._compound()
            self._close(")")
            codes = [concept.code for concept in self._system.page(list(self._few(sets)))]
        else:
            codes = [_code(token)]
            if not self._system.having(REFSET, token):
                self._one(token)
        found = NONE
        for code in codes:
            found |= self._system.having(REFSET, code)
        return found

    def _of_all(self, operator: str) -> Spans:
        if operator in ("", *_WITH_ITSELF):
            return self._system.every()
        if operator in _ENDS:
            return self._around(operator, self._system.every())
        raise refused(f"{operator} * is not understood here")

    def _one(self, token: str) -> Spans:
        concept = self._system.find(_code(token))
        if concept is None:
            raise refused(f"the code system {self._system.url} has no code {token!r}")
        return Spans.of([concept.number])

    def _few(self, concepts: Spans) -> Spans:
        if len(concepts) > _MOST:
            raise TooCostly(f"An operator applies to at most {_MOST} concepts of a parenthesis here.")
        return concepts

    def _around(self, operator: str, concepts: Spans) -> Spans:
        if not operator:
            return concepts
        if operator in _ENDS:
            self._spend(10)
            return end_of(self._system, operator, concepts)
        self._spend(1)
        found = NONE
        for concept in self._system.page(list(self._few(concepts))):
            found |= _AROUND[operator](self._system, concept.code)
        return found | concepts if operator in _WITH_ITSELF else found

    # -- refinements ---------------------------------------------------------------------------------------------------

    def _refinement(self) -> Refinement:
        self._enter()
        parts = [self._part()]
        joined = ""
        while self._peek().upper() in (",", "AND", "OR"):
            word = "OR" if self._next().upper() == "OR" else "AND"
            if joined and word != joined:
                raise refused("AND and OR between attributes need parentheses to say which comes first")
            joined = word
            parts.append(self._part())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Joined(parts, joined == "AND")

    def _part(self) -> Refinement:
        cardinality = self._cardinality()
        if self._peek() == "{":
            self._next()
            inner = self._refinement()
            self._close("}")
            return Grouped(inner, cardinality)
        if self._peek() == "(" and not self._is_name():
            if cardinality != Cardinality():
                raise refused("how many there are is said of an attribute or a group, not of a parenthesis")
            self._next()
            inner = self._refinement()
            self._close(")")
            return inner
        self._spend(10)
        reverse = self._peek() == "R" and self._peek(1) not in ("=", "!=")
        if reverse:
            self._next()
        return attribute(self._system, self._names(), self._next(), self._value(), cardinality, reverse=reverse)

    def _is_name(self) -> bool:
        """Whether the parenthesis here is an attribute's name: what stands after it is then a comparison."""
        depth = 0
        for place in range(self._place, len(self._tokens)):
            depth += {"(": 1, ")": -1}.get(self._tokens[place], 0)
            if not depth:
                return self._tokens[place + 1 : place + 2] in (["="], ["!="])
        return False

    def _cardinality(self) -> Cardinality:
        told = CARDINALITY.fullmatch(self._peek())
        if told is None:
            return Cardinality()
        self._next()
        least, most = int(told[1]), None if told[2] == "*" else int(told[2])
        if most is not None and most < least:
            raise refused(f"[{least}..{most}] ends before it begins")
        return Cardinality(least, most)

    def _names(self) -> list[str]:
        """Attributes: the one that is named, or those among the concepts of an expression."""
        token = self._peek()
        if token not in _HIERARCHY and token not in ("(", "*", "^"):
            name = _code(self._next())
            if name not in self._system.properties:
                self._one(name)
            return [name]
        return names_among(self._system, self._focus())

    def _value(self) -> Spans | str:
        """The concepts that a value is to be among, or what it is to be compared with: `#…`, `"…"`, true or false."""
        token = self._peek()
        if token[:1] in ("#", '"') or token.lower() in ("true", "false"):
            return self._next()
        return self._focus()


def _code(token: str) -> str:
    if not token[:1].isalnum():
        raise refused(f"a code was expected, not {token or 'the end'!r}")
    return token


def _parents(system: System, code: str) -> Spans:
    concept = system.find(code)
    return NONE if concept is None else Spans.of(system.numbers(concept.parents).values())


_JOINS: Mapping[str, Callable[[Spans, Spans], Spans]] = {
    "AND": lambda one, other: one & other,
    ",": lambda one, other: one & other,
    "OR": lambda one, other: one | other,
    "MINUS": lambda one, other: one - other,
}
_AROUND: Mapping[str, Callable[[System, str], Spans]] = {
    "<": lambda system, code: system.below(code),
    "<<": lambda system, code: system.below(code),
    ">": lambda system, code: system.above(code),
    ">>": lambda system, code: system.above(code),
    "<!": lambda system, code: system.children(code),
    "<<!": lambda system, code: system.children(code),
    ">!": _parents,
    ">>!": _parents,
}
