"""The codes that a ValueSet's definition says: include, exclude, imports.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.code_system import CodeSystemTable, Concept
from fhir_server.terminology.definitions import Definitions, NotLocal
from fhir_server.terminology.filters import selected
from fhir_server.terminology.grammars import GRAMMARS

_DEEPEST = 12
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One code of an expansion. `concept` is None when the code system is not on this server."""

    system: str
    code: str
    version: str | None
    display: str | None
    designations: Sequence[Mapping[str, Any]]
    abstract: bool
    inactive: bool
    concept: Concept | None


def entries(definitions: Definitions, value_set: Mapping[str, Any], trail: tuple[str, ...] = ()) -> dict[Key, Entry]:
    """The codes of a value set by (system, code), in definition order. Without a `compose`, the expansion that the
    resource carries. Raises `NotLocal`, `NotFound` (an import), `Unprocessable` (imports that go in a circle)."""
    trail = _entered(value_set, trail)
    compose = value_set.get("compose")
    if not compose:
        return _stored(definitions, value_set)
    found: dict[Key, Entry] = {}
    for include in compose.get("include", ()):
        for key, entry in _included(definitions, include, trail).items():
            found.setdefault(key, entry)
    for exclude in compose.get("exclude", ()):
        found = {key: entry for key, entry in found.items() if not _has(definitions, exclude, *key, trail)}
    if compose.get("inactive") is False:
        found = {key: entry for key, entry in found.items() if not entry.inactive}
    return found


def contains(
    definitions: Definitions, value_set: Mapping[str, Any], system: str, code: str, trail: tuple[str, ...] = ()
) -> bool:
    """Whether a code is in a value set, asking only what concerns its system: parts of the definition over other
    systems need not be on this server. Raises as `entries`."""
    trail = _entered(value_set, trail)
    compose = value_set.get("compose")
    if not compose:
        return (system, code) in _stored(definitions, value_set)
    if not any(_has(definitions, include, system, code, trail) for include in compose.get("include", ())):
        return False
    if any(_has(definitions, exclude, system, code, trail) for exclude in compose.get("exclude", ())):
        return False
    if compose.get("inactive") is False:
        table = definitions.table(system)
        concept = table.find(code) if table else None
        return concept is None or not concept.inactive
    return True


def reach(definitions: Definitions, value_set: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """The code systems that a value set's definition names, and the urls of the value sets that it imports, at any
    depth. A code without a system can be of any of these systems."""
    named: set[str] = set()
    imported: set[str] = set()
    waiting = [value_set]
    while waiting:
        current = waiting.pop()
        named |= {item["system"] for item in _stored_items(current) if "system" in item}
        compose = current.get("compose", {})
        for part in (*compose.get("include", ()), *compose.get("exclude", ())):
            if "system" in part:
                named.add(part["system"])
            for canonical in part.get("valueSet", ()):
                url = canonical.partition("|")[0]
                if url not in imported:
                    imported.add(url)
                    waiting.append(definitions.imported(canonical))
    return named, imported


def _entered(value_set: Mapping[str, Any], trail: tuple[str, ...]) -> tuple[str, ...]:
    url = value_set.get("url") or f"#{len(trail)}"
    if url in trail or len(trail) >= _DEEPEST:
        raise Unprocessable(f"The value set {url} imports itself, or imports more than {_DEEPEST} deep.")
    return (*trail, url)


def _included(definitions: Definitions, include: Mapping[str, Any], trail: tuple[str, ...]) -> dict[Key, Entry]:
    parts: list[Mapping[Key, Entry]] = [
        _imported(definitions, canonical, trail) for canonical in include.get("valueSet", ())
    ]
    if "system" in include:
        parts.insert(0, {(e.system, e.code): e for e in _of_system(definitions, include)})
    if not parts:
        raise Unprocessable("An include names neither a system nor a value set.", expression="ValueSet.compose.include")
    first, *others = parts
    return {key: entry for key, entry in first.items() if all(key in other for other in others)}


def _imported(definitions: Definitions, canonical: str, trail: tuple[str, ...]) -> Mapping[Key, Entry]:
    # Kept, because imports that fan out at every level would be listed exponentially often.
    found: Mapping[Key, Entry] | None = definitions.listings.get(canonical)
    if found is None:
        found = definitions.listings[canonical] = entries(definitions, definitions.imported(canonical), trail)
    return found


def _of_system(definitions: Definitions, include: Mapping[str, Any]) -> Iterator[Entry]:
    system = include["system"]
    if "concept" in include:
        table = definitions.table(system)
        for item in include["concept"]:
            yield _listed(system, table, item)
        return
    table = _versioned(definitions, include)
    filters = include.get("filter", ())
    for concept in selected(table, filters) if filters else table.concepts.values():
        yield _entry(table, concept)


def _versioned(definitions: Definitions, include: Mapping[str, Any]) -> CodeSystemTable:
    version = include.get("version")
    return definitions.require(f"{include['system']}|{version}" if version else include["system"])


def _entry(table: CodeSystemTable, concept: Concept) -> Entry:
    return Entry(
        table.url, concept.code, table.version, concept.display, concept.designations, concept.abstract,
        concept.inactive, concept,
    )  # fmt: skip


def _listed(system: str, table: CodeSystemTable | None, item: Mapping[str, Any]) -> Entry:
    concept = table.find(item["code"]) if table else None
    if table is None or concept is None:
        return Entry(system, item["code"], None, item.get("display"), item.get("designation", ()), False, False, None)
    display = item.get("display") or concept.display
    designations = [*item.get("designation", ()), *concept.designations]
    return Entry(
        system, concept.code, table.version, display, designations, concept.abstract, concept.inactive, concept
    )


def _has(definitions: Definitions, part: Mapping[str, Any], system: str, code: str, trail: tuple[str, ...]) -> bool:
    """Whether one include or exclude has the code."""
    if "system" in part and (part["system"] != system or not _system_has(definitions, part, code)):
        return False
    return all(_imports(definitions, canonical, system, code, trail) for canonical in part.get("valueSet", ()))


def _imports(definitions: Definitions, canonical: str, system: str, code: str, trail: tuple[str, ...]) -> bool:
    key = (canonical, system, code)
    found = definitions.membership.get(key)
    if found is None:
        found = contains(definitions, definitions.imported(canonical), system, code, trail)
        definitions.membership[key] = found
    return found


def _system_has(definitions: Definitions, part: Mapping[str, Any], code: str) -> bool:
    if "concept" not in part and not part.get("filter"):
        return known(definitions, part["system"], code)
    # By identity: the parts belong to definitions that live at least as long as `definitions`.
    listed = definitions.selections.get(id(part))
    if listed is None:
        listed = definitions.selections[id(part)] = frozenset(e.code for e in _of_system(definitions, part))
    if code in listed:
        return True
    table = definitions.table(part["system"])
    concept = table.find(code) if table else None
    return concept is not None and concept.code in listed


def known(definitions: Definitions, system: str, code: str) -> bool:
    """Whether a code system has a code. Raises `NotLocal` when this server cannot tell."""
    table = definitions.table(system)
    if table is not None:
        return table.find(code) is not None
    rule = GRAMMARS.get(system)
    verdict = rule(code) if rule else None
    if verdict is None:
        raise NotLocal(system)
    return verdict


def _stored_items(value_set: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = list(reversed(value_set.get("expansion", {}).get("contains", ())))
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(reversed(item.get("contains", ())))


def _stored(definitions: Definitions, value_set: Mapping[str, Any]) -> dict[Key, Entry]:
    """The codes of the expansion that the resource carries."""
    found: dict[Key, Entry] | None = definitions.stored.get(id(value_set))
    if found is None:
        listed = [_stored_entry(item) for item in _stored_items(value_set) if "code" in item]
        found = definitions.stored[id(value_set)] = {(entry.system, entry.code): entry for entry in listed}
    return found


def _stored_entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        item.get("system", ""), item["code"], item.get("version"), item.get("display"), item.get("designation", ()),
        item.get("abstract", False), item.get("inactive", False), None,
    )  # fmt: skip
