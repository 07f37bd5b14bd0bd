"""Text to tokens. https://hl7.org/fhirpath/N1/grammar.html"""

import re
from dataclasses import dataclass

from fhir_server.fhirpath.errors import FhirPathError

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n\r]*|/\*.*?\*/)
    | (?P<datetime>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
        (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)
    | (?P<time>@T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?)
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)+`|"(?:[^"\\]|\\.)+")
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<variable>\$(?:this|index|total)\b)
    | (?P<symbol><=|>=|!=|!~|[.,()\[\]{}|+\-*/&=~<>%])
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST = 20_000
_LONGEST_NUMBER = 60
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Token:
    """kind: datetime, time, number, string, name (quoted or not), variable, symbol, end. text: unescaped."""

    kind: str
    text: str
    at: int
    quoted: bool = False


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression with an `end` behind them. Raises `FhirPathError` with the offset."""
    if len(expression) > _LONGEST:
        raise FhirPathError(f"A FHIRPath expression has at most {_LONGEST} characters.")
    found: list[Token] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None or expression.startswith("/*", at) and match.lastgroup != "space":
            raise FhirPathError(_unreadable(expression, at), at)
        kind = match.lastgroup or ""
        if kind == "number" and match.end() - at > _LONGEST_NUMBER:
            raise FhirPathError(f"A number has at most {_LONGEST_NUMBER} digits.", at)
        if kind == "string":
            found.append(Token("string", _unescaped(match, at), at))
        elif kind == "quoted":
            found.append(Token("name", _unescaped(match, at), at, True))
        elif kind != "space":
            found.append(Token(kind, match.group(), at))
        at = match.end()
    found.append(Token("end", "", at))
    return found


def _unreadable(expression: str, at: int) -> str:
    match expression[at]:
        case "'" | '"' | "`":
            return "The FHIRPath expression cannot be read: what is quoted here has no closing quote."
        case "/":
            return "The FHIRPath expression cannot be read: the comment has no end."
        case "$":
            return "The FHIRPath expression cannot be read: '$' begins $this, $index or $total."
        case "@":
            return "The FHIRPath expression cannot be read: '@' begins a date, a dateTime or a time such as @T14:30."
    return "The FHIRPath expression cannot be read: no name, literal or operator begins with this character."


def unescape(body: str) -> str:
    """Resolve the backslash escapes of a string literal. Raises `FhirPathError` for what is no character."""
    return characters(_ESCAPE.sub(_escaped, body)) if "\\" in body else body


def characters(text: str) -> str:
    """The text with its surrogates in pairs made characters. Raises `FhirPathError` for a lone one, and for U+0000."""
    if "\0" in text:
        raise FhirPathError("A string cannot hold the character U+0000.")
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise FhirPathError("A string cannot hold half of a character: surrogates come in pairs.") from None


def _unescaped(match: re.Match[str], at: int) -> str:
    try:
        return unescape(match.group()[1:-1])
    except FhirPathError as error:
        error.at = at
        raise


def _escaped(match: re.Match[str]) -> str:
    body = match[1]
    return chr(int(body[1:], 16)) if len(body) == 5 else _ESCAPES.get(body, body)
