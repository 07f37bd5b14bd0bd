"""Where the elements of a JSON text stand, so that what is wrong with one can be shown at its line."""

import re
from bisect import bisect_left
from collections.abc import Mapping
from json import JSONDecodeError, loads
from json.decoder import scanstring  # type: ignore[attr-defined]

_SPACE = re.compile(r"[ \t\r\n]*")
_NEWLINE = re.compile("\n")
_LITERAL = re.compile(r"-?\d[\d.eE+-]*|true|false|null")
_STEP = re.compile(r"(\.?[^.\[\]]+|\[\d+\])\Z")
_DEEPEST = 60


def syntax_error(text: str) -> tuple[int, int] | None:
    """Line and column (from 1) where a text stops being JSON; None for one that is."""
    try:
        loads(text)
    except JSONDecodeError as error:
        return error.lineno, error.colno
    except RecursionError:
        return 1, 1
    return None


def lines(text: str, root: str) -> Mapping[str, int]:
    """The line (from 1) of each element of a JSON text, by path (`Patient.name[0].family`). `root`: the first word."""
    begins: dict[str, int] = {}
    _walk(text, 0, root, begins, 0)
    ends = [match.start() for match in _NEWLINE.finditer(text)]
    return {path: bisect_left(ends, at) + 1 for path, at in begins.items()}


def line_of(path: str, known: Mapping[str, int]) -> int:
    """The line of an element, or of the nearest one above it that is there; 1 when none is."""
    while path:
        if path in known:
            return known[path]
        if f"{path}[0]" in known:
            return known[f"{path}[0]"]
        # value[x] stands there as valueString and the like.
        typed = next((line for name, line in known.items() if _is_typed(path, name)), 0)
        if typed:
            return typed
        path = _STEP.sub("", path)
    return 1


def _is_typed(path: str, name: str) -> bool:
    rest = name[len(path) :]
    return name.startswith(path) and rest[:1].isupper() and "." not in rest and "[" not in rest


def _walk(text: str, at: int, path: str, found: dict[str, int], depth: int) -> int:
    """Note where the value begins that stands at or after `at`; the place behind it."""
    at = _skip(text, at)
    found[path] = at
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    sign = text[at]
    if sign == '"':
        end: int = scanstring(text, at + 1, False)[1]
        return end
    if sign in "{[":
        return _inside(text, at, path, found, depth)
    match = _LITERAL.match(text, at)
    if match is None:
        raise ValueError("not JSON")
    return match.end()


def _inside(text: str, at: int, path: str, found: dict[str, int], depth: int) -> int:
    closing, number = ("}" if text[at] == "{" else "]"), 0
    at = _skip(text, at + 1)
    while text[at] != closing:
        if closing == "}":
            name, at = scanstring(text, at + 1, False)
            at = _walk(text, _skip(text, at) + 1, f"{path}.{name}", found, depth + 1)
        else:
            at = _walk(text, at, f"{path}[{number}]", found, depth + 1)
            number += 1
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
