"""Words of a whole resource for `_text` (its narrative) and `_content` (everything a person may read in it).

https://hl7.org/fhir/R4/search.html#content
"""

from typing import Any

from fhir_server.core.keys import key64
from fhir_server.search.memo import Memo
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.text import MOST_WORDS, narrative_text, words

# Names whose text nobody reads: addresses of things, technical ids, encoded data; the narrative is read apart.
_SKIPPED = frozenset(
    {
        "resourceType", "id", "system", "url", "reference", "div", "data", "contentType", "versionId", "lastUpdated",
        "fullUrl", "profile", "source", "hash", "valueUri", "valueUrl", "valueCanonical", "valueBase64Binary", "linkId",
        "instantiatesCanonical", "instantiatesUri", "definitionCanonical", "definitionUri", "status",
    }
)  # fmt: skip


def word_emitter(resource_type: str) -> Emit:
    """Puts the `_text` and `_content` keys of a resource of one type into its rows.

    At most 2000 different words of each, the first in alphabetical order, are indexed.
    """
    text_of = _keys(resource_type, "_text")
    content_of = _keys(resource_type, "_content")

    def emit(resource: Any, rows: IndexRows, base: str) -> None:
        div = (resource.get("text") or {}).get("div")
        texts: list[str] = []
        _collect(resource, texts)
        content = words(" ".join(texts))
        if div:
            narrative = words(narrative_text(div))
            rows.keys.extend([text_of[word] for word in _most(narrative)])
            content |= narrative
        rows.keys.extend([content_of[word] for word in _most(content)])

    return emit


def _keys(resource_type: str, param: str) -> Memo[str, int]:
    prefix = f"{resource_type}\x1f{param}\x1f"
    return Memo(lambda word: key64(prefix + word))


def _most(found: set[str]) -> set[str]:
    return found if len(found) <= MOST_WORDS else set(sorted(found)[:MOST_WORDS])


def _collect(element: dict[str, Any], into: list[str]) -> None:
    for name, value in element.items():
        kind = type(value)
        if kind is str:
            if name not in _SKIPPED and not _is_date(value):
                into.append(value)
        elif kind is dict:
            _collect(value, into)
        elif kind is list and name not in _SKIPPED:
            for item in value:
                if type(item) is dict:
                    _collect(item, into)
                elif type(item) is str:
                    into.append(item)


def _is_date(text: str) -> bool:
    return text[4:5] == "-" and text[:4].isdigit()
