"""The codes that a ValueSet's definition says: include, exclude, imports; worked out for one code system at a time.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.absent import VersionNotHeld
from fhir_server.terminology.definitions import Definitions, identity
from fhir_server.terminology.filters import selected
from fhir_server.terminology.kept import Kept
from fhir_server.terminology.listed import carries, is_listed, listing_parts, unknown_codes
from fhir_server.terminology.systems import Part, Selection, System
from fhir_server.terminology.value_set import Said, Trail, entered, excludes, includes, listing


@dataclass(slots=True)
class Used:
    """A code system as a value set uses it. `here`: it, in each version that is used; `elsewhere`: some of the codes
    can be of a version that is not here, or of the part of it that is not."""

    here: list[System] = field(default_factory=list)
    elsewhere: bool = False


def selection(definitions: Definitions, value_set: Mapping[str, Any]) -> Selection:
    """A value set worked out, its systems in the order in which the definition names them. Without a `compose`, the
    expansion that the resource carries.

    Raises `NotLocal` when codes are needed that are not here, `Unprocessable` for a definition that cannot be worked
    out (imports in a circle, unknown filters), `TooCostly` for one that takes too much work.
    """
    parts: list[Part] = []
    listed: dict[tuple[str, str], Said] = {}
    for url, used in used_systems(definitions, value_set).items():
        for system in used.here:
            found = concepts(definitions, value_set, system)
            if found:
                parts.append(Part(system, found, displays(definitions, value_set, system)))
        if used.elsewhere:
            listed.update(((url, code), said) for code, said in unknown_codes(definitions, value_set, url, used.here))
    return Selection(tuple(parts), listed)


def contains(
    definitions: Definitions, value_set: Mapping[str, Any], system: str, code: str, version: str | None = None
) -> bool:
    """Whether a code is in a value set, asking only what concerns its system: parts of the definition over other
    systems need not be on this server. `version`: only in this version of the system. Raises as `selection`."""
    if home(definitions, value_set, system, code, version) is not None:
        return True
    used = used_systems(definitions, value_set).get(system)
    # Of a code that is held everything has been asked already.
    if used is None or not used.elsewhere or any(each.find(code) is not None for each in used.here):
        return False
    return is_listed(definitions, value_set, system, code)


def home(
    definitions: Definitions, value_set: Mapping[str, Any], url: str, code: str, version: str | None = None
) -> System | None:
    """The code system, in the version that the value set uses, by which a code is in the value set; None when it is not
    by any that is here."""
    for system in used_systems(definitions, value_set).get(url, Used()).here:
        if version is None or system.version is None or definitions.system(f"{url}|{version}") is system:
            concept = system.find(code)
            if concept is not None and concept.number in concepts(definitions, value_set, system):
                return system
    return None


# -- which systems ----------------------------------------------------------------------------------------------------


def used_systems(definitions: Definitions, value_set: Mapping[str, Any]) -> Mapping[str, Used]:
    """The code systems that a value set can have codes of, at any depth of imports, by url in the definition's
    order."""
    key = ("systems", id(value_set))
    found: dict[str, Used] | None = definitions.memo.get(key)
    if found is None:
        found = {}
        for url, version, as_list in _named(definitions, value_set, ()):
            used = found.setdefault(url, Used())
            system = _used(definitions, url, version, as_list)
            if system is not None and system not in used.here:
                used.here.append(system)
            used.elsewhere |= system is None or system.content != "complete"
        definitions.memo[key] = found
    return found


def _named(definitions: Definitions, value_set: Mapping[str, Any], trail: Trail) -> list[tuple[str, str | None, bool]]:
    """(url, version, whether only codes that are listed one by one are meant) of each include."""
    trail = entered(value_set, trail)
    key = ("named", id(value_set))
    known: list[tuple[str, str | None, bool]] | None = definitions.memo.get(key)
    if known is None:
        found: dict[tuple[str, str | None, bool], None] = {}
        for part in includes(value_set):
            definitions.spend(1)
            if "system" in part:
                found[part["system"], part.get("version"), "concept" in part] = None
                continue
            for canonical in part.get("valueSet", ()):
                found.update(dict.fromkeys(_named(definitions, definitions.imported(canonical), trail)))
        if "compose" not in value_set:
            found.update(((url, version, True), None) for url, version in carries(value_set))
        known = definitions.memo[key] = list(found)
    return known


def _used(definitions: Definitions, url: str, version: str | None, as_list: bool) -> System | None:
    """The system in a version. A list says its codes by itself, so that it may be of a version that is not here."""
    version = definitions.versions.of(url, version)
    try:
        return definitions.system(f"{url}|{version}" if version else url)
    except VersionNotHeld:
        if as_list:
            return None
        raise


def _concerns(definitions: Definitions, part: Mapping[str, Any], system: System, loose: bool) -> bool:
    """Whether an include or exclude speaks of this system, in this version. `loose`: naming none, it speaks of all."""
    if part["system"] != system.url:
        return False
    version = definitions.versions.of(system.url, part.get("version"))
    return (loose and version is None) or _used(definitions, system.url, version, "concept" in part) is system


# -- the concepts of one system ----------------------------------------------------------------------------------------


def concepts(
    definitions: Definitions, value_set: Mapping[str, Any], system: System, loose: bool = False, trail: Trail = ()
) -> Spans:
    """The concepts of a system that a value set has."""
    trail = entered(value_set, trail)
    key = ("concepts", id(value_set), id(system), loose)
    found: Spans | None = definitions.memo.get(key)
    if found is None:
        content = _content(definitions, value_set, system)
        found = None if content is None else _kept.get((content, loose))
        if found is None:
            found = _composed(definitions, value_set, system, loose, trail)
            if content is not None:
                _kept.put((content, loose), found, 10 + found.pieces)
        definitions.memo[key] = found
    return found


_kept = Kept(2_000_000)


def _content(definitions: Definitions, value_set: Mapping[str, Any], system: System) -> Hashable | None:
    """All that the concepts of a system in a value set depend on: its definition, those that it imports, and which
    versions of the system they mean. None when that may be another thing in the next request."""
    keys: dict[Hashable, None] = {}
    meant: dict[Hashable, None] = {}
    waiting = [value_set]
    while waiting:
        owner = waiting.pop()
        key = definitions.key_of(owner)
        if key is None:
            return None
        if key in keys:
            continue
        keys[key] = None
        for part in (*includes(owner), *excludes(owner)):
            if part.get("system") == system.url:
                used = _used(definitions, system.url, part.get("version"), "concept" in part)
                meant["version" in part, part.get("version"), None if used is None else identity(used)] = None
            waiting += [definitions.imported(canonical) for canonical in part.get("valueSet", ())]
    where = identity(system)
    return None if where is None else (tuple(keys), where, tuple(meant), definitions.versions.force.get(system.url))


def _composed(
    definitions: Definitions, value_set: Mapping[str, Any], system: System, loose: bool, trail: Trail
) -> Spans:
    compose = value_set.get("compose")
    if not compose:
        return _leaf(definitions, value_set, ("carried", 0), value_set, system).concepts
    ranges: list[tuple[int, int]] = []
    for place, part in enumerate(includes(value_set)):
        chosen = _of_part(definitions, value_set, ("include", place), part, system, loose, trail)
        definitions.spend(chosen.pieces)
        ranges += chosen.ranges
    found = Spans(ranges)
    for place, part in enumerate(excludes(value_set)):
        if not found:
            break
        definitions.spend(found.pieces)
        # What is taken away is taken away in every version.
        found -= _of_part(definitions, value_set, ("exclude", place), part, system, True, trail)
    return found - system.inactive() if compose.get("inactive") is False else found


def _of_part(
    definitions: Definitions,
    value_set: Mapping[str, Any],
    place: tuple[str, int],
    part: Mapping[str, Any],
    system: System,
    loose: bool,
    trail: Trail,
) -> Spans:
    """One include or exclude: its system's codes, within every value set that it names."""
    definitions.spend(1)
    found: Spans | None = None
    if "system" in part:
        if not _concerns(definitions, part, system, loose):
            return NONE
        found = _leaf(definitions, value_set, place, part, system).concepts
    for canonical in part.get("valueSet", ()):
        imported = definitions.imported(canonical)
        # Beside a system in some version, what is imported is asked of that version.
        named = concepts(definitions, imported, system, loose or "system" in part, trail)
        found = named if found is None else found & named
        definitions.spend(named.pieces)
    if found is None:
        raise Unprocessable("An include names neither a system nor a value set.", expression="ValueSet.compose.include")
    return found


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one include says of a system without its imports. `order`: numbers of the codes that it lists, as listed;
    `said`: what it calls some of them."""

    concepts: Spans
    order: Sequence[int] = ()
    said: Mapping[str, Said] = field(default_factory=dict)


_leaves = Kept(2_000_000)


def _leaf(
    definitions: Definitions,
    value_set: Mapping[str, Any],
    place: tuple[str, int],
    part: Mapping[str, Any],
    system: System,
) -> Leaf:
    """Kept from one request to the next where both the value set and the system are sure to be the same."""
    content, where = definitions.key_of(value_set), identity(system)
    kept = content is not None and where is not None
    key = (content, place, where) if kept else (id(part), id(system))
    known: Leaf | None = _leaves.get(key) if kept else definitions.memo.get(key)
    if known is None:
        known = _worked_out(definitions, part, system)
        if kept:
            _leaves.put(key, known, 10 + known.concepts.pieces + 2 * len(known.order))
        else:
            definitions.memo[key] = known
    return known


def _worked_out(definitions: Definitions, part: Mapping[str, Any], system: System) -> Leaf:
    if "concept" in part or "expansion" in part:
        listed = dict(listing(part, system.url))
        definitions.spend(len(listed))
        numbers = system.numbers(listed)
        order = [numbers[code] for code in listed if code in numbers]
        said = {code: each for code, each in listed.items() if each[0] is not None or each[1]}
        return Leaf(Spans.of(order), order, said if system.case_sensitive else _as_written(system, said))
    filters = part.get("filter", ())
    return Leaf(selected(system, filters, definitions.spend) if filters else system.every())


# -- what is listed code by code ---------------------------------------------------------------------------------------


def listed_order(definitions: Definitions, value_set: Mapping[str, Any], system: System) -> list[int]:
    """The numbers of the codes that a value set or its imports list one by one, in the order in which they do."""
    found: dict[int, None] = {}
    for owner, place, part in listing_parts(definitions, value_set, system.url):
        found.update(dict.fromkeys(_leaf(definitions, owner, place, part, system).order))
    return list(found)


def displays(definitions: Definitions, value_set: Mapping[str, Any], system: System) -> Mapping[str, Said]:
    """What a value set and its imports call codes of a system, where they list them, in their order."""
    key = ("displays", id(value_set), id(system))
    found: Mapping[str, Said] | None = definitions.memo.get(key)
    if found is None:
        parts = listing_parts(definitions, value_set, system.url)
        said = [_leaf(definitions, owner, place, part, system).said for owner, place, part in parts]
        # The first that says something of a code says it.
        found = said[0] if len(said) == 1 else {code: each for some in reversed(said) for code, each in some.items()}
        definitions.memo[key] = found
    return found


def _as_written(system: System, said: Mapping[str, Said]) -> dict[str, Said]:
    numbers = system.numbers(said)
    written = {concept.number: concept.code for concept in system.page(sorted(set(numbers.values())))}
    return {written[numbers[code]]: each for code, each in said.items() if code in numbers}
