"""SNOMED CT's Expression Constraint Language over any system with a hierarchy: the part that value sets mostly use.

Hierarchy operators, `^`, AND, OR, MINUS, parentheses, `*`, and attributes outside groups.
https://confluence.ihtsdotools.org/display/DOCECL
"""

import re
from collections.abc import Callable, Mapping

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.systems import System

REFSET = "refset"
_LONGEST, _DEEPEST, _MOST, _MOST_OPERATORS = 4000, 20, 1000, 100
_TOKEN = re.compile(r"\s*(?:(<<!|>>!|<!|>!|<<|>>|!=|[<>^*(),:=])|([A-Za-z]+)(?![\w.])|([\w-]+)(?:\s*\|[^|]*\|)?)")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_OPERATORS = frozenset({"<", "<<", ">", ">>", "<!", ">!", "<<!", ">>!", "^"})


def selected(system: System, expression: str) -> Spans:
    """The concepts of an expression constraint. Raises `Unprocessable` for what is not understood here, and for a code
    that the system does not have."""
    if len(expression) > _LONGEST:
        raise TooCostly(f"An expression constraint has at most {_LONGEST} characters here.")
    return _Reader(system, _COMMENT.sub(" ", expression)).whole()


class _Reader:
    def __init__(self, system: System, text: str) -> None:
        self._system = system
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0
        self._left = _MOST_OPERATORS

    def whole(self) -> Spans:
        found = self._compound()
        if self._peek():
            raise _refused(f"{self._peek()!r} is not expected there (groups, dots and filters are not understood here)")
        return found

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._place += 1
        return token

    def _compound(self) -> Spans:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TooCostly(f"An expression constraint is nested at most {_DEEPEST} deep here.")
        found = self._refined()
        joined = ""
        while self._peek().upper() in _JOINS:
            word = self._next().upper()
            word = "AND" if word == "," else word
            if joined and (word != joined or word == "MINUS"):
                raise _refused(f"{joined} and {word} need parentheses to say which comes first")
            joined = word
            found = _JOINS[word](found, self._refined())
        self._depth -= 1
        return found

    def _refined(self) -> Spans:
        found = self._focus()
        if self._peek() != ":":
            return found
        self._next()
        held = self._attribute()
        joined = ""
        while self._peek().upper() in (",", "AND", "OR"):
            word = "OR" if self._next().upper() == "OR" else "AND"
            if joined and word != joined:
                raise _refused("AND and OR between attributes need parentheses, which are not understood here")
            joined = word
            held = _JOINS[word](held, self._attribute())
        return found & held

    def _attribute(self) -> Spans:
        name, sign = self._next(), self._next()
        if not name[:1].isalnum() or sign not in ("=", "!="):
            raise _refused("an attribute is written as code = value")
        self._spend(10)
        pairs = list(self._system.values(name))
        if not pairs and name not in self._system.properties:
            raise _refused(f"the code system has no attribute {name}")
        wanted = self._focus()
        numbers = self._system.numbers(value for value, _ in pairs)
        found = NONE
        for value, concepts in pairs:
            if ((number := numbers.get(value)) is not None and number in wanted) is (sign == "="):
                found |= concepts
        return found

    def _focus(self) -> Spans:
        token = self._next()
        operator = token if token in _OPERATORS else ""
        token = self._next() if operator else token
        if token == "(":
            found = self._compound()
            if self._next() != ")":
                raise _refused("a parenthesis is not closed")
            return self._around(operator, found) if operator else found
        if token == "*":
            return _of_all(self._system, operator)
        if not token[:1].isalnum():
            raise _refused(f"a code was expected, not {token or 'the end'!r}")
        # A reference set need not be a concept of the edition that is here.
        members = self._system.having(REFSET, token) if operator == "^" else NONE
        return members or self._around(operator, self._one(token))

    def _one(self, code: str) -> Spans:
        concept = self._system.find(code)
        if concept is None:
            raise _refused(f"the code system {self._system.url} has no code {code!r}")
        return Spans.of([concept.number])

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooCostly(f"An expression constraint has at most {_MOST_OPERATORS} operators, an attribute for ten.")

    def _around(self, operator: str, concepts: Spans) -> Spans:
        if not operator:
            return concepts
        self._spend(1)
        if len(concepts) > _MOST:
            raise TooCostly(f"An operator applies to at most {_MOST} concepts of a parenthesis here.")
        found = NONE
        for concept in self._system.page(list(concepts)):
            found |= _AROUND[operator](self._system, concept.code)
        return found | concepts if operator in ("<<", ">>", "<<!", ">>!") else found


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
    "^": lambda system, code: system.having(REFSET, code),
}


def _of_all(system: System, operator: str) -> Spans:
    if operator in ("", "<<", ">>", "<<!", ">>!"):
        return system.every()
    if operator == "^":
        return Spans([span for _, members in system.values(REFSET) for span in members.ranges])
    raise _refused(f"{operator} * is not understood here")


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _refused(f"{text[place : place + 10]!r} is not understood (groups, dots and filters are not, here)")
        found.append(match[1] or match[2] or match[3])
        place = match.end()
    return found


def _refused(why: str) -> Unprocessable:
    return Unprocessable(f"The expression constraint cannot be used: {why}.", code="not-supported")
