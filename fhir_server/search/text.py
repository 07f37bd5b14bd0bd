"""Text as it is compared: normalised for prefix search, and cut into words for `_text`, `_content` and `:text`.

Case, accents and runs of whitespace never matter. https://hl7.org/fhir/R4/search.html#string
"""

import re
import unicodedata
from html import unescape

LONGEST = 200
MOST_WORDS = 2000

_TAG = re.compile(r"<[^>]*>").sub
_WORD = re.compile(r"\w+").findall
_TATWEEL = "\u0640"


def normalize(text: str) -> str:
    """`text` without marks (accents, harakat, tatweel), case-folded, whitespace collapsed, at most 200 characters.

    Idempotent: `normalize(normalize(x)) == normalize(x)`. NUL, which PostgreSQL text cannot hold, counts as a space.
    """
    return _fold(text)[:LONGEST].rstrip()


def words(text: str) -> set[str]:
    """The distinct normalised words of plain text, in no order."""
    return set(_WORD(_fold(text)))


def narrative_text(div: str) -> str:
    """The plain text of a narrative's XHTML. https://hl7.org/fhir/R4/narrative.html"""
    return unescape(_TAG(" ", div))


def _fold(text: str) -> str:
    if text.isascii():
        if "\x00" in text:
            text = text.replace("\x00", " ")
        return " ".join(text.lower().split())
    # Folding case can produce marks and decomposing can produce capitals, hence the second fold.
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join([c for c in plain if not unicodedata.combining(c) and c != _TATWEEL and not _surrogate(c)])
    return " ".join(unicodedata.normalize("NFKD", bare.casefold()).replace("\x00", " ").split())


def _surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"
