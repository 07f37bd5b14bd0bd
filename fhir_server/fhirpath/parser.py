"""Tokens to a syntax tree, by operator precedence. https://hl7.org/fhirpath/N1/#operator-precedence"""

from decimal import Decimal

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.lexer import Token, tokens
from fhir_server.fhirpath.nodes import BOOLEAN, DATE, DATETIME, DECIMAL, INTEGER, QUANTITY, STRING, TIME
from fhir_server.fhirpath.syntax import Binary, Call, External, Index, Literal, Member, Sign, Tree, TypeTest, Variable

_PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10,
    "mod": 10,
}  # fmt: skip
_CALENDAR = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_CALENDAR_UNITS = {name: unit for unit in _CALENDAR for name in (unit, unit + "s")}
_RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})
_DEEPEST = 100


def parse(expression: str) -> Tree:
    """The tree of an expression. Raises `FhirPathError` naming the place that cannot be read."""
    return _Parser(tokens(expression)).whole()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._expression(0)
        if self._tokens[self._at].kind != "end":
            raise self._unexpected()
        return tree

    def _expression(self, least: int) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FhirPathError("The FHIRPath expression is nested too deeply.")
        left = self._unary()
        while True:
            token = self._tokens[self._at]
            rank = 0 if token.quoted or token.kind not in ("symbol", "name") else _PRECEDENCE.get(token.text, 0)
            if rank <= least:
                break
            self._at += 1
            if token.text in ("is", "as"):
                left = TypeTest(token.text, left, self._type_name())
            else:
                left = Binary(token.text, left, self._expression(rank))
        self._depth -= 1
        return left

    def _unary(self) -> Tree:
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.text in "+-":
            self._at += 1
            return Sign(token.text, self._unary())
        tree = self._term()
        while True:
            if self._accept("."):
                tree = self._invocation(tree)
            elif self._accept("["):
                tree = Index(tree, self._expression(0))
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
        raise self._unexpected()

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
            raise self._unexpected()
        self._at += 1
        return External(token.text)

    def _invocation(self, source: Tree | None) -> Tree:
        token = self._tokens[self._at]
        if token.kind == "variable" and source is not None:
            self._at += 1
            return Variable(token.text)
        if token.kind != "name":
            raise self._unexpected()
        self._at += 1
        if not self._accept("("):
            return Member(source, token.text)
        arguments: list[Tree] = []
        if not self._accept(")"):
            arguments.append(self._expression(0))
            while self._accept(","):
                arguments.append(self._expression(0))
            self._expect(")")
        return Call(source, token.text, tuple(arguments))

    def _type_name(self) -> str:
        names = [self._name()]
        while self._accept("."):
            names.append(self._name())
        return ".".join(names)

    def _name(self) -> str:
        token = self._tokens[self._at]
        if token.kind != "name":
            raise self._unexpected()
        self._at += 1
        return token.text

    def _accept(self, symbol: str) -> bool:
        token = self._tokens[self._at]
        if token.kind == "symbol" and token.text == symbol:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise self._unexpected()

    def _unexpected(self) -> FhirPathError:
        token = self._tokens[self._at]
        if token.kind == "end":
            return FhirPathError("The FHIRPath expression ends too early.")
        return FhirPathError(f"The FHIRPath expression has an unexpected '{token.text}' at character {token.at + 1}.")
