"""ValueSet/$expand. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import TooCostly
from fhir_server.terminology.compose import Entry, entries, reach
from fhir_server.terminology.definitions import Definitions

LARGEST = 5000


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a caller asks of an expansion; the fields are the operation's parameters."""

    filter: str = ""
    offset: int = 0
    count: int | None = None
    include_designations: bool = False
    include_definition: bool = False
    active_only: bool = False
    exclude_nested: bool = True
    exclude_not_for_ui: bool = False
    display_language: str | None = None
    exclude_systems: frozenset[str] = frozenset()
    asked: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def expand(definitions: Definitions, value_set: Mapping[str, Any], wanted: Expansion, timestamp: str) -> dict[str, Any]:
    """The value set with its `expansion`; `total` counts what matches before paging, `identifier` is the same for
    every page. Raises `TooCostly` when more than 5,000 codes would be listed, and as `compose.entries`."""
    found = [entry for entry in _all(definitions, value_set) if _wanted(entry, wanted)]
    page = found[wanted.offset :]
    if wanted.count is not None:
        page = page[: wanted.count]
    if len(page) > LARGEST:
        raise TooCostly(
            f"The expansion has {len(found)} codes; at most {LARGEST} are listed at a time. Use filter, or count with"
            " offset.",
            expression="http.count",
        )
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{_identifier(value_set, wanted, found)}",
        "timestamp": timestamp,
        "total": len(found),
        "offset": wanted.offset,
        "parameter": [*wanted.asked, *_used(definitions, found)],
    }
    if page:
        nested = not wanted.exclude_nested and len(page) == len(found)
        expansion["contains"] = _nested(page, wanted) if nested else [_item(entry, wanted) for entry in page]
    if not expansion["parameter"]:
        del expansion["parameter"]
    kept = {k: v for k, v in value_set.items() if k not in ("text", "expansion", "meta")}
    if not wanted.include_definition:
        kept.pop("compose", None)
    return {**kept, "expansion": expansion}


def fold(text: str) -> str:
    """Text as `filter` compares it: without case and accents."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def _all(definitions: Definitions, value_set: Mapping[str, Any]) -> Sequence[Entry]:
    url = value_set.get("url", "")
    # Base definitions never change; but a tenant may hold its own version of a system that they draw from.
    if base_registry().value_set(url) is value_set and definitions.all_base(*_base_reach(url)):
        return _base_entries(url)
    return tuple(entries(definitions, value_set).values())


@lru_cache(maxsize=2048)
def _base_reach(url: str) -> tuple[set[str], set[str]]:
    registry = base_registry()
    return reach(Definitions(registry), registry.value_set(url) or {})


@lru_cache(maxsize=128)
def _base_entries(url: str) -> Sequence[Entry]:
    registry = base_registry()
    value_set = registry.value_set(url)
    return () if value_set is None else tuple(entries(Definitions(registry), value_set).values())


def _wanted(entry: Entry, wanted: Expansion) -> bool:
    if (wanted.active_only and entry.inactive) or (wanted.exclude_not_for_ui and entry.abstract):
        return False
    if entry.system in wanted.exclude_systems:
        return False
    return not wanted.filter or _matches(entry, fold(wanted.filter).split())


def _matches(entry: Entry, words: Sequence[str]) -> bool:
    texts = [entry.code, entry.display or "", *(d.get("value", "") for d in entry.designations)]
    folded = [fold(text) for text in texts]
    return all(any(word in text for text in folded) for word in words)


def _identifier(value_set: Mapping[str, Any], wanted: Expansion, found: Sequence[Entry]) -> UUID:
    digest = blake2b(digest_size=16)
    said = (value_set.get("url"), value_set.get("version"), wanted.filter, wanted.active_only, wanted.display_language)
    digest.update(repr(said).encode())
    for entry in found:
        digest.update(f"\x1f{entry.system}\x1f{entry.code}\x1f{entry.display}".encode())
    return UUID(bytes=digest.digest(), version=4)


def _used(definitions: Definitions, found: Sequence[Entry]) -> list[dict[str, Any]]:
    """The code systems that were used, with their versions, and a warning for those that are not whole."""
    parameters: list[dict[str, Any]] = []
    for system, version in dict.fromkeys((e.system, e.version) for e in found if e.concept is not None):
        uri = f"{system}|{version}" if version else system
        parameters.append({"name": "version", "valueUri": uri})
        table = definitions.table(system)
        if table is not None and table.content != "complete":
            parameters.append({"name": f"warning-{table.content}", "valueUri": uri})
    return parameters


def _item(entry: Entry, wanted: Expansion) -> dict[str, Any]:
    item: dict[str, Any] = {"system": entry.system}
    if entry.abstract:
        item["abstract"] = True
    if entry.inactive:
        item["inactive"] = True
    item["code"] = entry.code
    display = in_language(entry.display, entry.designations, wanted.display_language)
    if display:
        item["display"] = display
    if wanted.include_designations and entry.designations:
        item["designation"] = [dict(d) for d in entry.designations]
    return item


def in_language(display: str | None, designations: Sequence[Mapping[str, Any]], language: str | None) -> str | None:
    """The designation in a language, where there is one, else the display. `fr` is answered by `fr-CA` too."""
    if not language:
        return display
    for exact in (True, False):
        for designation in designations:
            tag = designation.get("language", "").lower()
            if tag == language.lower() or (not exact and tag and tag.split("-")[0] == language.lower().split("-")[0]):
                return str(designation["value"])
    return display


def _nested(page: Sequence[Entry], wanted: Expansion) -> list[dict[str, Any]]:
    """Each code below the first of its parents that is in the expansion too."""
    items = {(entry.system, entry.code): _item(entry, wanted) for entry in page}
    roots: list[dict[str, Any]] = []
    for entry in page:
        parents = entry.concept.parents if entry.concept else ()
        above = next((items[entry.system, p] for p in parents if (entry.system, p) in items), None)
        home = roots if above is None else above.setdefault("contains", [])
        home.append(items[entry.system, entry.code])
    return roots
