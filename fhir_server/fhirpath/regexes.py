"""Regular expressions that clients may write, so that none takes time out of proportion to the text.

Matching runs in the regex engine that comes with jsonschema-rs, which takes time in proportion to the text and to the
positions in the expression, repetitions written out. Replacing needs Python's, which goes back and tries again, so what
it may have to try is counted beforehand.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jsonschema_rs

from fhir_server.fhirpath.errors import FhirPathError

_LONGEST = 1_000
_LONGEST_TEXT = 4095
# Bytes of a compiled expression; steps of a match (each some 4 ns) and of a replacement (each some 10 ns).
_MOST_BYTES = 1_000_000
_MOST_MATCHING = 40_000_000
_MOST_STEPS = 20_000_000
_FLAGS = frozenset("im")
_PIECE = re.compile(
    r"""(?P<escape>\\(?:[pPxuU]\{[^}]*\}|.)) | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<flags>\(\?[A-Za-z-]*\)) | (?P<open>\((?:\?(?:P?<[^>=!][^>]*>|[A-Za-z-]*:|<?[=!]))?) | (?P<close>\))
    | (?P<repeat>(?:[*+?]|\{(?P<low>[0-9]{1,4})?(?P<comma>,(?P<high>[0-9]{1,4})?)?(?<=[0-9,])\})[?+]?)
    | (?P<or>\|) | (?P<other>[^{\[])""",
    re.VERBOSE | re.DOTALL,
)
# Within these, blanks and comments say nothing, so that a piece could be another than it seems.
_SPACED = re.compile(r"\(\?[A-Za-z-]*x[A-Za-z-]*[:)]")
# What a set of characters holds where engines differ, or Python warns that it one day will.
_NESTED = re.compile(r"(?<!\\)(?:\\\\)*(?:\[|--|&&|\|\||~~)")


class Matcher(NamedTuple):
    """An expression ready to be asked. is_valid: whether a text matches. positions: of characters in the expression."""

    is_valid: Callable[[str], bool]
    positions: int

    def work(self, text: str) -> int:
        """What matching a text can take, in units of about 100 ns. Raises `FhirPathError` where that is too much."""
        steps = self.positions * len(text)
        if steps > _MOST_MATCHING:
            raise FhirPathError("The regular expression has too many repetitions for a text of this length.")
        return 1 + steps // 25


@lru_cache(maxsize=64)
def matcher(expression: str, flags: str = "", whole: bool = False) -> Matcher:
    """What tells whether an expression matches somewhere in a text, or the whole of it. `.` is any character.

    flags: `i`, `m`. Raises `FhirPathError`.
    """
    complete = f"\\A(?s{_checked(flags)}:{expression})\\z" if whole else f"(?s{_checked(flags)}:{expression})"
    positions = _positions(expression)
    options = jsonschema_rs.RegexOptions(size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES)
    try:
        validator = jsonschema_rs.Draft202012Validator({"pattern": complete}, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        raise FhirPathError("The regular expression cannot be read, or is too large.") from None
    return Matcher(validator.is_valid, positions)


def fills(expression: str, text: str) -> bool:
    """Whether the expression matches the whole text. Raises `FhirPathError`."""
    made = matcher(expression, "", True)
    return made.work(text) > 0 and made.is_valid(text)


def replaced(expression: str, text: str, by: str, flags: str = "") -> str:
    """The text with every match replaced; `$1` and `${name}` stand for groups. Raises `FhirPathError`."""
    template = re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda m: rf"\g<{m[1] or m[2]}>", by.replace("\\", "\\\\"))
    compiled = _replacer(expression, _checked(flags))
    if len(text) > _LONGEST_TEXT:
        raise FhirPathError(f"'replaceMatches' works on at most {_LONGEST_TEXT} characters.")
    length = 1 << len(text).bit_length()
    if length * _ways(expression, length) > _MOST_STEPS:
        raise FhirPathError("The regular expression could take too long: it has too many repetitions for this text.")
    try:
        return compiled.sub(template, text)
    except (re.error, IndexError):
        raise FhirPathError("The replacement names a group that the expression does not have.") from None


def _checked(flags: str) -> str:
    if not _FLAGS.issuperset(flags):
        raise FhirPathError("The flags of a regular expression are 'i' and 'm'.")
    return "".join(sorted(set(flags)))


@lru_cache(maxsize=256)
def _pieces(expression: str) -> tuple[re.Match[str], ...]:
    """The pieces of which an expression is made, told apart as both engines do. Raises `FhirPathError`."""
    if len(expression) > _LONGEST:
        raise FhirPathError(f"A regular expression has at most {_LONGEST} characters.")
    pieces = tuple(_PIECE.finditer(expression))
    if sum(len(piece.group()) for piece in pieces) != len(expression):
        text = "A '{' must begin a repetition such as {2,5}, of at most 9999 times, and a '[' a set that ends with ']'"
        raise FhirPathError(f"{text}; what stands for itself has a backslash before it.")
    if _SPACED.search(expression):
        raise FhirPathError("A regular expression does not take the flag 'x'.")
    # What is put around it must not close what it opens, or the other way round.
    depth = 0
    for piece in pieces:
        depth += (piece.lastgroup == "open") - (piece.lastgroup == "close")
        if depth < 0:
            break
    if depth:
        raise FhirPathError("The regular expression cannot be read: its brackets are not in pairs.")
    return pieces


def _positions(expression: str) -> int:
    """How many characters an expression speaks of, repetitions written out."""
    # Of each group that is open: what comes before its last piece, and that piece.
    groups = [[0, 0]]
    for piece in _pieces(expression):
        group = groups[-1]
        if piece.lastgroup == "repeat":
            group[1] *= max(1, int(piece["low"] or 0), int(piece["high"] or 0))
        elif piece.lastgroup == "close":
            inner = sum(groups.pop())
            groups[-1][1] = inner
        else:
            group[0], group[1] = group[0] + group[1], 1
            if piece.lastgroup == "open":
                groups.append([0, 0])
    return sum(map(sum, groups))


@lru_cache(maxsize=64)
def _replacer(expression: str, flags: str) -> re.Pattern[str]:
    if re.search(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?(?!:|P?<\w|<?[=!]))", expression):
        raise FhirPathError("'replaceMatches' takes no references to groups, conditions or flags within.")
    if any(piece.lastgroup == "set" and _NESTED.search(piece.group(), 1) for piece in _pieces(expression)):
        raise FhirPathError("Within brackets, '[' and a doubled '-', '&', '|' or '~' are written with backslashes.")
    named = re.sub(r"\(\?<(?=\w)", "(?P<", expression)
    try:
        return re.compile(f"(?s{flags}:{named})")
    except (re.error, OverflowError, RecursionError):
        raise FhirPathError("The regular expression cannot be read.") from None


@lru_cache(maxsize=1024)
def _ways(expression: str, length: int) -> int:
    """How many ways there are at most to match the expression from one place of a text: what may have to be tried."""
    # Of each group that is open: ways of its alternatives so far, of the present one, and of its last piece.
    groups = [[0, 1, 1]]
    for piece in _pieces(expression):
        group = groups[-1]
        if piece.lastgroup == "repeat":
            group[2] = _repeated(piece, group[2], length)
            continue
        if piece.lastgroup == "close":
            groups.pop()
            groups[-1][2] = group[0] + min(group[1] * group[2], _MOST_STEPS)
            continue
        group[1], group[2] = min(group[1] * group[2], _MOST_STEPS), 1
        if piece.lastgroup == "or":
            group[0], group[1] = group[0] + group[1], 1
        elif piece.lastgroup == "open":
            groups.append([0, 1, 1])
    return groups[0][0] + groups[0][1] * groups[0][2]


def _repeated(piece: re.Match[str], ways: int, length: int) -> int:
    sign = piece["repeat"][0]
    low = {"*": 0, "+": 1, "?": 0}.get(sign, int(piece["low"] or 0))
    high = {"*": length, "+": length, "?": 1}.get(sign, int(piece["high"] or length) if piece["comma"] else low)
    high = min(high, length)
    if ways == 1:
        return max(high - low, 0) + 1
    if high > 24:
        raise FhirPathError("'replaceMatches' takes no repeated groups that can match in several ways.")
    return sum(min(ways**times, _MOST_STEPS) for times in range(low, high + 1)) or 1
