"""Tokens to a syntax tree, by operator precedence. https://hl7.org/fhirpath/N1/#operator-precedence"""

from decimal import Decimal

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.lexer import Token, tokens
from fhir_server.fhirpath.nodes import BOOLEAN, DATE, DATETIME, DECIMAL, INTEGER, QUANTITY, STRING, TIME
from fhir_server.fhirpath.syntax import (
    Binary,
    Call,
    External,
    Index,
    Literal,
    Member,
    Sign,
    Tree,
    TypeTest,
    Variable,
    parts,
)

_PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10,
    "mod": 10,
}  # fmt: skip
_CALENDAR = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_CALENDAR_UNITS = {name: unit for unit in _CALENDAR for name in (unit, unit + "s")}
_RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})
_DIRECTIONS = ("asc", "desc")
# Brackets within brackets, and the height of the tree: what is evaluated within what.
_DEEPEST = 100
_HIGHEST = 250


def parse(expression: str) -> Tree:
    """The tree of an expression. Raises `FhirPathError` naming the place that cannot be read."""
    try:
        tree = _Parser(tokens(expression)).whole()
        _check_height(tree)
    except FhirPathError as error:
        raise error.placed(expression) from None
    return tree


def _check_height(tree: Tree) -> None:
    layer: list[Tree] = [tree]
    for _ in range(_HIGHEST):
        layer = [part for each in layer for part in parts(each)]
        if not layer:
            return
    raise FhirPathError("The FHIRPath expression is nested too deeply: it has too many steps or operators in a row.")


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._expression(0)
        if self._tokens[self._at].kind != "end":
            raise self._unexpected("an operator or the end")
        return tree

    def _expression(self, least: int) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FhirPathError("The FHIRPath expression is nested too deeply.", self._tokens[self._at].at)
        left = self._unary()
        while True:
            token = self._tokens[self._at]
            rank = 0 if token.quoted or token.kind not in ("symbol", "name") else _PRECEDENCE.get(token.text, 0)
            if rank <= least:
                break
            self._at += 1
            if token.text in ("is", "as"):
                left = TypeTest(token.text, left, self._type_name(), token.at)
            else:
                left = Binary(token.text, left, self._expression(rank), token.at)
        self._depth -= 1
        return left

    def _unary(self) -> Tree:
        signs: list[Token] = []
        while self._tokens[self._at].kind == "symbol" and self._tokens[self._at].text in "+-":
            signs.append(self._tokens[self._at])
            self._at += 1
        tree = self._steps(self._term())
        for sign in reversed(signs):
            tree = Sign(sign.text, tree, sign.at)
        return tree

    def _steps(self, tree: Tree) -> Tree:
        while True:
            at = self._tokens[self._at].at
            if self._accept("."):
                tree = self._invocation(tree)
            elif self._accept("["):
                tree = Index(tree, self._expression(0), at)
                self._expect("]")
            else:
                return tree

    def _term(self) -> Tree:
        token = self._tokens[self._at]
        if token.kind == "name" and (token.quoted or token.text not in _RESERVED):
            return self._invocation(None)
        self._at += 1
        match token.kind, token.text:
            case "name", ("true" | "false") as word:
                return Literal(BOOLEAN, word == "true")
            case "string", value:
                return Literal(STRING, value)
            case "number", value:
                return self._number(value)
            case "datetime", value:
                return Literal(DATETIME if "T" in value else DATE, value[1:].removesuffix("T"))
            case "time", value:
                return Literal(TIME, value[2:])
            case "variable", name:
                return Variable(name)
            case "symbol", "(":
                tree = self._expression(0)
                self._expect(")")
                return tree
            case "symbol", "{":
                self._expect("}")
                return Literal(None)
            case "symbol", "%":
                return self._external()
        self._at -= 1
        raise self._unexpected("a name, a literal, a variable, '(' or '{'")

    def _number(self, value: str) -> Literal:
        token = self._tokens[self._at]
        unit = None
        if token.kind == "string":
            unit = token.text
        elif token.kind == "name" and not token.quoted:
            unit = _CALENDAR_UNITS.get(token.text)
        if unit is not None:
            self._at += 1
            # A calendar duration is told from a UCUM unit by the blank before it, which no UCUM code has.
            return Literal(QUANTITY, (Decimal(value), unit if token.kind == "string" else f" {unit}"))
        return Literal(DECIMAL, Decimal(value)) if "." in value else Literal(INTEGER, int(value))

    def _external(self) -> Tree:
        token = self._tokens[self._at]
        if token.kind not in ("name", "string"):
            raise self._unexpected("the name of a variable")
        self._at += 1
        return External(token.text, token.at - 1)

    def _invocation(self, source: Tree | None) -> Tree:
        token = self._tokens[self._at]
        if token.kind == "variable" and source is not None:
            self._at += 1
            return Variable(token.text)
        if token.kind != "name":
            raise self._unexpected("the name of an element or function")
        self._at += 1
        if not self._accept("("):
            return Member(source, token.text, token.at)
        arguments: list[Tree] = []
        if not self._accept(")"):
            arguments.append(self._argument(token.text))
            while self._accept(","):
                arguments.append(self._argument(token.text))
            self._expect(")", "',' or ')'")
        return Call(source, token.text, tuple(arguments), token.at)

    def _argument(self, function: str) -> Tree:
        tree = self._expression(0)
        token = self._tokens[self._at]
        if function == "sort" and token.kind == "name" and token.text in _DIRECTIONS:
            # `sort(family desc)` says the same as `sort(-family)`.
            self._at += 1
            return Sign("-", tree, token.at) if token.text == "desc" else tree
        return tree

    def _type_name(self) -> str:
        names = [self._name()]
        while self._accept("."):
            names.append(self._name())
        return ".".join(names)

    def _name(self) -> str:
        token = self._tokens[self._at]
        if token.kind != "name":
            raise self._unexpected("the name of a type")
        self._at += 1
        return token.text

    def _accept(self, symbol: str) -> bool:
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.text == symbol:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str, wanted: str = "") -> None:
        if not self._accept(symbol):
            raise self._unexpected(wanted or f"'{symbol}'")

    def _unexpected(self, wanted: str) -> FhirPathError:
        token = self._tokens[self._at]
        if token.kind == "end":
            return FhirPathError(f"The FHIRPath expression ends too early: {wanted} is expected.", token.at)
        shown = token.text if len(token.text) <= 40 else f"{token.text[:40]}…"
        return FhirPathError(f"The FHIRPath expression has an unexpected '{shown}': {wanted} is expected.", token.at)
