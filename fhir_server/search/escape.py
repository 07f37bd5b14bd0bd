"""Splitting search values at `,` `$` `|`, with backslash escapes.

https://hl7.org/fhir/R4/search.html#escaping
"""

import re
from functools import lru_cache

_ESCAPED = re.compile(r"\\([,$|\\])")


@lru_cache(maxsize=8)
def _pieces(separator: str) -> re.Pattern[str]:
    return re.compile(r"((?:[^\\" + re.escape(separator) + r"]|\\.|\\\Z)*)(?:" + re.escape(separator) + r"|\Z)", re.S)


def split(text: str, separator: str) -> list[str]:
    """The parts between unescaped separators, still escaped; one part when there is none."""
    if "\\" not in text:
        return text.split(separator)
    parts: list[str] = []
    at = 0
    pattern = _pieces(separator)
    while True:
        match = pattern.match(text, at)
        if match is None:
            return [*parts, text[at:]]
        parts.append(match[1])
        at = match.end()
        if at == len(text) and (match.end(1) == at):
            return parts


def unescape(text: str) -> str:
    r"""The text with `\,` `\$` `\|` and `\\` taken back."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
