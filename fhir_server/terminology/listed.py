"""What can be told of codes whose system is not here, or only a part of it: by lists, and by rules that make codes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.terminology.absent import NotLocal, Partial
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.grammars import GRAMMARS
from fhir_server.terminology.systems import System
from fhir_server.terminology.value_set import Said, Trail, carried, entered, excludes, includes, listing


def unknown_codes(
    definitions: Definitions, value_set: Mapping[str, Any], url: str, systems: Sequence[System]
) -> Iterator[tuple[str, Said]]:
    """The codes that a value set lists of a system and that are not among what is here of it (`systems`). Raises
    `NotLocal` when nothing is here and more than a list is needed."""
    candidates = _candidates(definitions, value_set, url, bool(systems), ())
    here = {code for system in systems for code in system.numbers(candidates)}
    # What is only listed, with nothing imported and nothing taken away, is in it.
    plain = not excludes(value_set) and not any("valueSet" in part for part in includes(value_set))
    for code, said in candidates.items():
        if code not in here and (plain or is_listed(definitions, value_set, url, code)):
            yield code, said


def _candidates(
    definitions: Definitions, value_set: Mapping[str, Any], url: str, partial: bool, trail: Trail
) -> Mapping[str, Said]:
    trail = entered(value_set, trail)
    key = ("candidates", id(value_set), url, partial)
    found: dict[str, Said] | None = definitions.memo.get(key)
    if found is None:
        found = dict(listing(value_set, url)) if "compose" not in value_set else {}
        for part in includes(value_set):
            definitions.spend(1)
            for code, said in _candidates_of(definitions, part, url, partial, trail).items():
                found.setdefault(code, said)
        definitions.memo[key] = found
    return found


def _candidates_of(
    definitions: Definitions, part: Mapping[str, Any], url: str, partial: bool, trail: Trail
) -> Mapping[str, Said]:
    if "system" in part and part["system"] != url:
        return {}
    if "system" in part and "concept" in part:
        return dict(listing(part, url))
    # What several imports have in common is in each of them: any that can be listed will do.
    trouble = NotLocal(url)
    for canonical in part.get("valueSet", ()):
        try:
            return _candidates(definitions, definitions.imported(canonical), url, partial, trail)
        except NotLocal as error:
            trouble = error
    if partial:
        return {}
    raise trouble


def is_listed(
    definitions: Definitions, value_set: Mapping[str, Any], url: str, code: str, trail: Trail = ()
) -> bool:
    """Whether a value set has a code that is not among the concepts here. Raises `NotLocal` when nobody can tell."""
    trail = entered(value_set, trail)
    key = ("listed", id(value_set), url, code)
    found: bool | None = definitions.memo.get(key)
    if found is None:
        if "compose" in value_set:
            found = _any_lists(definitions, includes(value_set), url, code, trail) and not _any_lists(
                definitions, excludes(value_set), url, code, trail
            )
        else:
            found = code in _codes(definitions, value_set, url)
        definitions.memo[key] = found
    return found


def _any_lists(
    definitions: Definitions, parts: Iterable[Mapping[str, Any]], url: str, code: str, trail: Trail
) -> bool:
    trouble: NotLocal | None = None
    for part in parts:
        try:
            if _lists(definitions, part, url, code, trail):
                return True
        except NotLocal as error:
            trouble = error
    if trouble is not None:
        raise trouble
    return False


def _lists(definitions: Definitions, part: Mapping[str, Any], url: str, code: str, trail: Trail) -> bool:
    definitions.spend(1)
    if "system" in part:
        if part["system"] != url:
            return False
        if "concept" in part and code not in _codes(definitions, part, url):
            return False
    imports = [definitions.imported(canonical) for canonical in part.get("valueSet", ())]
    if not all(is_listed(definitions, imported, url, code, trail) for imported in imports):
        return False
    return "system" not in part or "concept" in part or _made_by_rule(definitions, part, url, code)


def _codes(definitions: Definitions, part: Mapping[str, Any], url: str) -> frozenset[str]:
    key = ("codes", id(part), url)
    found: frozenset[str] | None = definitions.memo.get(key)
    if found is None:
        found = definitions.memo[key] = frozenset(code for code, _ in listing(part, url))
        definitions.spend(len(found))
    return found


def _made_by_rule(definitions: Definitions, part: Mapping[str, Any], url: str, code: str) -> bool:
    rule = GRAMMARS.get(url)
    verdict = rule(code) if rule and not part.get("filter") else None
    if verdict is not None:
        return verdict
    raise NotLocal(url) if definitions.system(url) is None else Partial(url)


def known(definitions: Definitions, canonical: str, code: str) -> bool:
    """Whether a code system (`url` or `url|version`) has a code. Raises `NotLocal` when this server cannot tell."""
    url = canonical.partition("|")[0]
    system = definitions.system(canonical)
    if system is not None and (system.find(code) is not None or system.content == "complete"):
        return system.find(code) is not None
    return _made_by_rule(definitions, {}, url, code)


def listing_parts(
    definitions: Definitions, value_set: Mapping[str, Any], url: str
) -> Iterator[tuple[Mapping[str, Any], tuple[str, int], Mapping[str, Any]]]:
    """Where a value set and its imports list codes of a system one by one, each place once: (value set, place in it,
    include or the value set itself)."""
    waiting = [value_set]
    seen: set[int] = set()
    while waiting:
        owner = waiting.pop(0)
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        if "compose" not in owner:
            yield owner, ("carried", 0), owner
        for place, part in enumerate(includes(owner)):
            if part.get("system", url) == url:
                if "concept" in part and "system" in part:
                    yield owner, ("include", place), part
                waiting += [definitions.imported(canonical) for canonical in part.get("valueSet", ())]


def carries(value_set: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The code systems of the expansion that a value set carries."""
    return list(dict.fromkeys((item["system"], None) for item in carried(value_set) if "system" in item))
