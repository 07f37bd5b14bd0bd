"""Words of texts, as they are stored for typing ahead and as they are sought."""

import re
import unicodedata

_INNER = re.compile(r"[^\W_]+")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def fold(text: str) -> str:
    """Text without case and accents."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """What is between the white space of a text, folded, without punctuation around it, in order."""
    pieces = fold(text).split()
    return [word for piece in pieces if (word := piece if piece.isalnum() else _EDGES.sub("", piece))]


def keys_of(text: str) -> set[str]:
    """The words by whose beginnings a text is found: its words, and the parts of those with punctuation inside."""
    keys = set(words_of(text))
    for word in [word for word in keys if not word.isalnum()]:
        keys.update(_INNER.findall(word))
    return keys
