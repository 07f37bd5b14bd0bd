"""Regular expressions that clients may write, so that none takes time out of proportion to the text.

Matching runs in the regex engine that comes with jsonschema-rs, which is linear whatever the expression. Replacing
needs Python's, which goes back and tries again, so what it may have to try is counted beforehand.
"""

import re
from functools import lru_cache

import jsonschema_rs

from fhir_server.fhirpath.errors import FhirPathError

_LONGEST = 1_000
_LONGEST_TEXT = 4095
# Bytes of a compiled expression, and steps of a replacement (each some 10 ns).
_MOST_BYTES = 5_000_000
_MOST_STEPS = 20_000_000
_FLAGS = frozenset("im")
_PIECE = re.compile(
    r"""(?P<escape>\\.) | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\]) | (?P<open>\((?:\?(?:P?<\w+>|:|<?[=!]))?) | (?P<close>\))
    | (?P<or>\|) | (?P<repeat>(?:[*+?]|\{(?P<low>[0-9]{0,4})(?P<comma>,(?P<high>[0-9]{0,4}))?\})[?+]?)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def found(expression: str, text: str, flags: str = "") -> bool:
    """Whether the expression matches somewhere. `.` is any character. flags: `i`, `m`. Raises `FhirPathError`."""
    return _matcher(f"(?s{_checked(flags)}:{expression})").is_valid(text)


def fills(expression: str, text: str, flags: str = "") -> bool:
    """Whether the expression matches the whole text. Raises `FhirPathError`."""
    return _matcher(f"\\A(?s{_checked(flags)}:{expression})\\z").is_valid(text)


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
def _matcher(expression: str) -> jsonschema_rs.Draft202012Validator:
    if len(expression) > _LONGEST:
        raise FhirPathError(f"A regular expression has at most {_LONGEST} characters.")
    options = jsonschema_rs.RegexOptions(size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": expression}, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        raise FhirPathError("The regular expression cannot be read, or is too large.") from None


@lru_cache(maxsize=256)
def _replacer(expression: str, flags: str) -> re.Pattern[str]:
    if len(expression) > _LONGEST:
        raise FhirPathError(f"A regular expression has at most {_LONGEST} characters.")
    if re.search(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?(?!:|P?<\w|<?[=!]))", expression):
        raise FhirPathError("'replaceMatches' takes no references to groups, conditions or flags within.")
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
    for piece in _PIECE.finditer(expression):
        group = groups[-1]
        if piece.lastgroup == "repeat":
            group[2] = _repeated(piece, group[2], length)
            continue
        if piece.lastgroup == "close" and len(groups) > 1:
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
