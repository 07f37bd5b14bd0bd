"""ValueSet/$expand. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

from fhir_server.core.errors import TooCostly
from fhir_server.core.resource_json import encode
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.compose import listed_order, selection
from fhir_server.terminology.definitions import Definitions, identity
from fhir_server.terminology.expansion import Expansion, Item, item_of, property_definitions
from fhir_server.terminology.resources import is_version
from fhir_server.terminology.systems import Part, Selection, System
from fhir_server.terminology.value_set import Said
from fhir_server.terminology.words import keys_of, words_of

LARGEST = 5000
TOO_COSTLY = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"


@dataclass(frozen=True, slots=True)
class _Run:
    """Codes that follow one another in an expansion: of a system, or of systems that are not here."""

    system: System | None
    numbers: Spans | Sequence[int]
    said: Mapping[Any, Said]
    codes: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return len(self.codes) if self.system is None else len(self.numbers)

    def page(self, offset: int, count: int) -> Iterator[Item]:
        """So many of its items, from the `offset`-th on."""
        if self.system is None:
            for system, code in self.codes[offset : offset + count]:
                yield Item(None, system, code, None, self.said[system, code])
            return
        held = self.numbers
        page = held.page(offset, count) if isinstance(held, Spans) else held[offset : offset + count]
        for concept in self.system.page(page):
            yield Item(self.system, self.system.url, concept.code, concept, self.said.get(concept.code))


def expand(definitions: Definitions, value_set: Mapping[str, Any], wanted: Expansion, timestamp: str) -> dict[str, Any]:
    """The value set with its `expansion`; `total` counts what matches before paging, `identifier` is the same for
    every page. Codes that a value set lists come in its order, others in their system's. Raises `TooCostly` when more
    than 5,000 codes would be listed, and as `compose.selection`."""
    chosen = selection(definitions, value_set)
    runs = list(_runs(definitions, value_set, chosen, wanted))
    total = sum(map(len, runs))
    size = max(0, min(total - wanted.offset, total if wanted.count is None else wanted.count))
    cut = size > LARGEST
    if cut and not wanted.limited:
        raise TooCostly(
            f"The expansion has {total} codes; at most {LARGEST} are listed at a time. Use filter, or count with"
            " offset.",
            expression="http.count",
        )
    items = list(_page(runs, wanted.offset, min(size, LARGEST)))
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{_identifier(definitions, value_set, wanted, chosen, total)}",
        "timestamp": timestamp,
        "total": total,
        "offset": wanted.offset,
        "parameter": [*wanted.asked, *_used(chosen, wanted)],
    }
    extensions = [{"url": TOO_COSTLY, "valueBoolean": True}] if cut else []
    extensions += property_definitions(wanted.properties)
    if extensions:
        expansion = {"extension": extensions, **expansion}
    if items:
        several = len({part.system.url for part in chosen.parts}) < len(chosen.parts)
        listed = [item_of(item, wanted, with_version=several) for item in items]
        nested = not wanted.exclude_nested and len(items) == total
        expansion["contains"] = _nested(items, listed) if nested else listed
    if not expansion["parameter"]:
        del expansion["parameter"]
    kept = {k: v for k, v in value_set.items() if k not in ("text", "expansion", "meta")}
    if not wanted.include_definition:
        kept.pop("compose", None)
    return {**kept, "expansion": expansion}


# -- which codes, in which order ---------------------------------------------------------------------------------------


def _runs(
    definitions: Definitions, value_set: Mapping[str, Any], chosen: Selection, wanted: Expansion
) -> Iterator[_Run]:
    words = words_of(wanted.filter)
    for part in chosen.parts:
        if _is_excluded(wanted, part.system.url, part.system.version):
            continue
        found = _narrowed(part, wanted, words)
        order = listed_order(definitions, value_set, part.system)
        if Spans.of(order) != found:
            order = [number for number in order if number in found]
        if order:
            yield _Run(part.system, order, part.displays)
            found = found - Spans.of(order) if len(order) < len(found) else NONE
        if found:
            yield _Run(part.system, found, part.displays)
    codes = [
        (system, code)
        for (system, code), said in chosen.listed.items()
        if not _is_excluded(wanted, system, None) and _matches(words, code, said)
    ]
    if codes:
        yield _Run(None, (), chosen.listed, codes)


def _is_excluded(wanted: Expansion, url: str, version: str | None) -> bool:
    """Whether the caller wants nothing of a system, or of it in this version."""
    named = (each.partition("|") for each in wanted.exclude_systems)
    return any(system == url and (not mark or is_version(version, only)) for system, mark, only in named)


def _narrowed(part: Part, wanted: Expansion, words: Sequence[str]) -> Spans:
    found = part.concepts
    if wanted.filter:
        matching = part.system.matching(words)
        # Under what the value set itself calls a code it is found, too.
        called = [code for code, said in part.displays.items() if _matches(words, code, said)]
        matching |= Spans.of(part.system.numbers(called).values())
        # Of a whole system, what matches is what is wanted: a hundred thousand ranges need not be gone through.
        found = matching if found == part.system.every() else found & matching
    if wanted.active_only:
        found -= part.system.inactive()
    if wanted.exclude_not_for_ui:
        found -= part.system.abstract()
    return found


def _matches(words: Sequence[str], code: str, said: Said) -> bool:
    if not words:
        return True
    texts = [code, said[0] or "", *(d.get("value", "") for d in said[1])]
    keys = set().union(*map(keys_of, texts))
    return all(any(key.startswith(word) for key in keys) for word in words)


def _page(runs: Sequence[_Run], offset: int, count: int) -> Iterator[Item]:
    for run in runs:
        if count <= 0:
            return
        if offset >= len(run):
            offset -= len(run)
            continue
        size = min(count, len(run) - offset)
        yield from run.page(offset, size)
        count -= size
        offset = 0


# -- what is said of the whole -----------------------------------------------------------------------------------------


def _identifier(
    definitions: Definitions, value_set: Mapping[str, Any], wanted: Expansion, chosen: Selection, total: int
) -> UUID:
    content = definitions.key_of(value_set) or encode(dict(value_set)).decode()
    asked = [each for each in wanted.asked if each["name"] not in ("offset", "count")]
    systems = [(p.system.url, p.system.version, identity(p.system), p.concepts.pieces) for p in chosen.parts]
    digest = blake2b(repr((content, asked, wanted.languages, systems, total)).encode(), digest_size=16)
    return UUID(bytes=digest.digest(), version=4)


def _used(chosen: Selection, wanted: Expansion) -> list[dict[str, Any]]:
    """The code systems that were used, with their versions, and a warning for those that are not whole."""
    parameters: list[dict[str, Any]] = []
    for part in chosen.parts:
        system = part.system
        if _is_excluded(wanted, system.url, system.version):
            continue
        uri = f"{system.url}|{system.version}" if system.version else system.url
        parameters.append({"name": "version", "valueUri": uri})
        if system.content != "complete":
            parameters.append({"name": f"warning-{system.content}", "valueUri": uri})
    return parameters


def _nested(items: Sequence[Item], listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each code below the first of its parents that is in the expansion too."""
    places = {(item.system, item.code): place for place, item in enumerate(items)}
    roots: list[dict[str, Any]] = []
    for item, entry in zip(items, listed, strict=True):
        parents = item.concept.parents if item.concept else ()
        above = next((places[item.system, code] for code in parents if (item.system, code) in places), None)
        home = roots if above is None else listed[above].setdefault("contains", [])
        home.append(entry)
    return roots
