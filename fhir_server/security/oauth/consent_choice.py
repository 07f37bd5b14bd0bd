"""What a user can tick on the consent page, and the scopes that remain of the offered ones. No I/O.

Each right is split in what an app sees (r, s) and what it changes (c, u, d), for each resource type. A wildcard is
split into types, too: all of `patient/` that belongs to a patient one by one; what is nobody's, and all of `user/`,
in bundles. What stays whole keeps the text that was asked for, so that v1 is answered in v1 and a wildcard stays one.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.security.roles import shared_types
from fhir_server.security.scopes import Scope, parse_scope

_FOLDER = Path(__file__).resolve().parents[3] / "profiles" / "security"
_BUNDLES = ("demographic", "clinical", "scheduling", "financial", "administrative", "definitions")
_LEGACY = {"rs": "read", "cud": "write", "cruds": "*"}
_ORDER = "cruds"
# Readable in one patient's context although in no compartment (security/access.py).
_BESIDES = ("Device", "Binary")
LASTING = ("offline_access", "online_access")


@dataclass(frozen=True, slots=True)
class Item:
    """One box to tick. `key`: its value in the form; `name`: a resource type, or `@` and the name of a bundle;
    `changes`: whether it is about changing; `categories`: those a whole type can be narrowed to, as `system|code`."""

    key: str
    context: str
    changes: bool
    name: str
    letters: str
    query: tuple[tuple[str, str], ...] = ()
    categories: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def words_file() -> Any:
    """profiles/security/scope_words.json"""
    return json.loads((_FOLDER / "scope_words.json").read_text(encoding="utf-8"))


def items(offered: str, registry: Registry) -> list[Item]:
    """The boxes for the rights of a scope string, in the order of its scopes, each once."""
    wild = _wild(offered)
    found: dict[str, Item] = {}
    whole: dict[str, bool] = {}
    for text in offered.split():
        scope = parse_scope(text)
        for each in _parts(scope, wild, registry) if scope else ():
            known = found.get(each.key)
            letters = each.letters + (known.letters if known else "")
            found[each.key] = replace(each, letters="".join(c for c in _ORDER if c in letters))
            whole[each.key] = whole.get(each.key, True) and not _is_legacy(text)
    # An app that speaks v1 would not understand a granular scope.
    return [item if whole[item.key] else replace(item, categories=()) for item in found.values()]


def chosen(offered: str, registry: Registry, ticked: Collection[str], categories: Mapping[str, Collection[str]]) -> str:
    """What remains of the offered scopes. `ticked`: keys of items and the lasting scopes; `categories`: by key those
    that are ticked (a key that is missing was not narrowed)."""
    wild = _wild(offered)
    state = {item.key: _Kept(item, ticked, categories) for item in items(offered, registry)}
    kept: dict[str, None] = {}
    for text in offered.split():
        scope = parse_scope(text)
        if scope is None:
            if text not in LASTING or text in ticked:
                kept[text] = None
            continue
        parts = _parts(scope, wild, registry)
        if all(state[part.key].whole for part in parts):
            kept[text] = None
        else:
            kept.update(dict.fromkeys(_remaining(scope, _is_legacy(text), state, wild, registry)))
    return " ".join(kept)


class _Kept:
    """How much of an item remains: all, some categories, or nothing."""

    def __init__(self, item: Item, ticked: Collection[str], categories: Mapping[str, Collection[str]]) -> None:
        wanted = categories.get(item.key)
        narrowed = bool(item.categories) and wanted is not None and not set(item.categories) <= set(wanted)
        self.some = tuple(each for each in item.categories if each in (wanted or ())) if narrowed else ()
        self.any = item.key in ticked and (not narrowed or bool(self.some))
        self.whole = self.any and not narrowed


def _remaining(
    scope: Scope, legacy: bool, state: Mapping[str, _Kept], wild: Collection[tuple[str, bool]], registry: Registry
) -> Iterator[str]:
    for resource_type in _types(scope, registry):
        letters = ""
        for changes, part in _split(scope.letters):
            kept = state.get(_key(scope, changes, _name(scope.context, changes, resource_type, wild)))
            if kept is None or not kept.any:
                continue
            if kept.whole:
                letters += part
            for category in kept.some:
                yield str(Scope(scope.context, resource_type, part, (("category", category),)))
        letters = "".join(c for c in _ORDER if c in letters)
        if legacy and letters in _LEGACY:
            yield f"{scope.context}/{resource_type}.{_LEGACY[letters]}"
        elif letters:
            yield str(Scope(scope.context, resource_type, letters, scope.query))


def _parts(scope: Scope, wild: Collection[tuple[str, bool]], registry: Registry) -> list[Item]:
    """The items that one scope belongs to."""
    found: dict[str, Item] = {}
    for changes, letters in _split(scope.letters):
        for resource_type in _types(scope, registry):
            name = _name(scope.context, changes, resource_type, wild)
            if scope.type == "*" and scope.context == "patient" and changes and name == "@shared":
                continue
            key = _key(scope, changes, name)
            narrower = scope.context == "patient" and not changes and not scope.query
            found[key] = Item(
                key, scope.context, changes, name, letters, scope.query, _categories(name) if narrower else ()
            )
    return list(found.values())


def _split(letters: str) -> list[tuple[bool, str]]:
    see, change = ("".join(c for c in letters if c in group) for group in ("rs", "cud"))
    return [(changes, part) for changes, part in ((False, see), (True, change)) if part]


def _types(scope: Scope, registry: Registry) -> Sequence[str]:
    if scope.type != "*":
        return (scope.type,)
    if scope.context != "patient":
        return sorted(registry.resource_types)
    own = [name for name, codes in registry.compartments["Patient"].items() if codes]
    return sorted({*own, "Patient", *_BESIDES, *(shared_types() & frozenset(registry.resource_types))})


def _name(context: str, changes: bool, resource_type: str, wild: Collection[tuple[str, bool]]) -> str:
    if (context, changes) not in wild:
        return resource_type
    if context == "patient":
        return "@shared" if resource_type in shared_types() else resource_type
    return f"@{_bundle_of().get(resource_type, 'other')}"


def _wild(offered: str) -> frozenset[tuple[str, bool]]:
    rights = [scope for text in offered.split() if (scope := parse_scope(text)) is not None and scope.type == "*"]
    return frozenset((scope.context, changes) for scope in rights for changes, _ in _split(scope.letters))


def _key(scope: Scope, changes: bool, name: str) -> str:
    query = "&".join(f"{key}={value}" for key, value in scope.query)
    return f"{scope.context}.{'change' if changes else 'see'}.{name}" + (f"?{query}" if query else "")


def _is_legacy(text: str) -> bool:
    return text.partition("?")[0].rpartition(".")[2] in ("read", "write", "*")


def _categories(resource_type: str) -> tuple[str, ...]:
    return tuple(f"{system}|{code}" for system, code, _ in words_file()["categories"].get(resource_type, ()))


@lru_cache(maxsize=1)
def _bundle_of() -> Mapping[str, str]:
    groups = json.loads((_FOLDER / "roles.json").read_text(encoding="utf-8"))["types"]
    return {name: bundle for bundle in reversed(_BUNDLES) for name in groups[bundle]}
