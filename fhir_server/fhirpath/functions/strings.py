"""String functions. https://hl7.org/fhirpath/N1/#string-manipulation"""

import base64
import binascii
import html
import json
from collections.abc import Callable, Mapping

from fhir_server.fhirpath import regexes
from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import collected, of_string, text_condition
from fhir_server.fhirpath.lexer import characters, unescape
from fhir_server.fhirpath.nodes import EMPTY, LONGEST_TEXT, Env, Nodes, integer, number, string, text


def _argument(name: str, apply: Callable[[str, str], Nodes]) -> Build:
    """A function of one string and one string argument; an empty argument gives empty."""

    def on_text(value: str, argument: Nodes) -> Nodes:
        other = string(argument, f"'{name}'")
        return EMPTY if other is None else apply(value, other)

    return of_string(name, on_text, 1)


def _substring(value: str, start: Nodes, length: Nodes | None = None) -> Nodes:
    at = integer(start, "'substring'")
    if at is None or not 0 <= at < len(value):
        return EMPTY
    if length is None:
        return text(value[at:])
    count = integer(length, "'substring'")
    return text(value[at:] if count is None else value[at : at + max(0, count)])


def _replace(value: str, old: Nodes, new: Nodes) -> Nodes:
    before, after = string(old, "'replace'"), string(new, "'replace'")
    if before is None or after is None:
        return EMPTY
    if len(value) + (value.count(before) + 1) * len(after) > LONGEST_TEXT:
        raise FhirPathError("The expression makes too long a string.")
    return text(value.replace(before, after))


def _replace_matches(value: str, expression: Nodes, new: Nodes, flags: Nodes = EMPTY) -> Nodes:
    regex, after = string(expression, "'replaceMatches'"), string(new, "'replaceMatches'")
    if regex is None or after is None:
        return EMPTY
    return text(regexes.replaced(regex, value, after, string(flags, "'replaceMatches'") or "") if regex else value)


def _within(name: str, apply: Callable[[str, str], bool]) -> Build:
    """A condition on a string and one that may be a part of it."""

    def on_texts(value: str, part: str, flags: str, env: Env) -> bool:
        env.work(1 + len(value) // 20)
        return apply(value, part)

    return text_condition(name, on_texts)


def _matching(name: str, whole: bool) -> Build:
    def on_texts(value: str, expression: str, flags: str, env: Env) -> bool:
        matcher = regexes.matcher(expression, flags, whole)
        env.work(matcher.work(value))
        return matcher.is_valid(value)

    return text_condition(name, on_texts, 2)


def _encode(value: str, how: str) -> Nodes:
    raw = value.encode()
    match how:
        case "hex":
            return text(raw.hex())
        case "base64":
            return text(base64.b64encode(raw).decode())
        case "urlbase64":
            return text(base64.urlsafe_b64encode(raw).decode())
    return EMPTY


def _decode(value: str, how: str) -> Nodes:
    try:
        match how:
            case "hex":
                return text(characters(bytes.fromhex(value).decode()))
            case "base64":
                return text(characters(base64.b64decode(value, validate=True).decode()))
            case "urlbase64":
                return text(characters(base64.urlsafe_b64decode(value).decode()))
    except (ValueError, binascii.Error):
        raise FhirPathError("The text cannot be decoded.") from None
    return EMPTY


def _escape(value: str, how: str) -> Nodes:
    match how:
        case "html":
            return text(html.escape(value))
        case "json":
            return text(json.dumps(value, ensure_ascii=False)[1:-1])
    return EMPTY


def _unescape(value: str, how: str) -> Nodes:
    match how:
        case "html":
            return text(html.unescape(value))
        case "json":
            return text(unescape(value))
    return EMPTY


def _join(nodes: Nodes, separator: Nodes | None = None) -> Nodes:
    between = string(separator, "'join'") if separator else ""
    values = [string([node], "'join'") for node in nodes]
    return text((between or "").join(value for value in values if value is not None)) if nodes else EMPTY


FUNCTIONS: Mapping[str, Build] = {
    "indexOf": _argument("indexOf", lambda value, other: number(value.find(other))),
    "lastIndexOf": _argument("lastIndexOf", lambda value, other: number(value.rfind(other))),
    "substring": of_string("substring", _substring, 1, 2),
    "startsWith": _within("startsWith", str.startswith),
    "endsWith": _within("endsWith", str.endswith),
    "contains": _within("contains", str.__contains__),
    "upper": of_string("upper", lambda value: text(value.upper())),
    "lower": of_string("lower", lambda value: text(value.lower())),
    "replace": of_string("replace", _replace, 2),
    "matches": _matching("matches", False),
    "matchesFull": _matching("matchesFull", True),
    "replaceMatches": of_string("replaceMatches", _replace_matches, 2, 3),
    "length": of_string("length", lambda value: number(len(value))),
    "toChars": of_string("toChars", lambda value: [node for char in value for node in text(char)]),
    "encode": _argument("encode", _encode),
    "decode": _argument("decode", _decode),
    "escape": _argument("escape", _escape),
    "unescape": _argument("unescape", _unescape),
    "trim": of_string("trim", lambda value: text(value.strip())),
    "split": _argument("split", lambda value, by: [n for part in value.split(by or None) for n in text(part)]),
    "join": collected("join", _join, 0, 1),
}
