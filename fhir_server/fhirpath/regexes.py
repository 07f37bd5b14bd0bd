"""Regular expressions that clients may write, so that none takes time out of proportion to the text.

Matching runs in the regex engine that comes with jsonschema-rs, which is linear whatever the expression. Replacing
needs Python's, so expressions that could make that backtrack without end are refused.
"""

import re
from functools import lru_cache

import jsonschema_rs

from fhir_server.fhirpath.errors import FhirPathError

_LONGEST = 4096
_MOST_REPETITIONS = 2
_REPETITION = re.compile(r"(?<!\\)(?:[*+]|\{[0-9]+,)")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)(?:[*+]|\{[0-9]+,)")


def found(expression: str, text: str) -> bool:
    """Whether the expression matches somewhere. `.` matches line breaks too. Raises `FhirPathError`."""
    return _matcher(f"(?s:{expression})").is_valid(text)


def fills(expression: str, text: str) -> bool:
    """Whether the expression matches the whole text. Raises `FhirPathError`."""
    return _matcher(f"^(?s:{expression})$").is_valid(text)


def replaced(expression: str, text: str, by: str) -> str:
    """The text with every match replaced; `$1` and `${name}` stand for groups. Raises `FhirPathError`."""
    template = re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda m: rf"\g<{m[1] or m[2]}>", by.replace("\\", "\\\\"))
    compiled = _replacer(expression)
    if len(text) > _LONGEST:
        raise FhirPathError(f"'replaceMatches' works on at most {_LONGEST} characters.")
    try:
        return compiled.sub(template, text)
    except (re.error, IndexError):
        raise FhirPathError("The replacement names a group that the expression does not have.") from None


@lru_cache(maxsize=512)
def _matcher(expression: str) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            {"pattern": expression}, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (jsonschema_rs.ValidationError, ValueError):
        raise FhirPathError("The regular expression cannot be read.") from None


@lru_cache(maxsize=512)
def _replacer(expression: str) -> re.Pattern[str]:
    if _REPEATED_GROUP.search(expression) or len(_REPETITION.findall(expression)) > _MOST_REPETITIONS:
        raise FhirPathError("'replaceMatches' takes no repeated groups and at most two open repetitions.")
    try:
        return re.compile(re.sub(r"\(\?<(?=\w)", "(?P<", expression), re.DOTALL)
    except (re.error, OverflowError, RecursionError):
        raise FhirPathError("The regular expression cannot be read.") from None
