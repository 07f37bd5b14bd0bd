"""How the definition in a ValueSet resource is read: its includes, its lists of codes, the expansion it carries.

https://hl7.org/fhir/R4/valueset.html
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import Unprocessable

_DEEPEST = 12
# What a value set calls a code: its display there, if any, and its designations.
Said = tuple[str | None, Sequence[Mapping[str, Any]]]
# The urls of the value sets that import one another down to here.
Trail = tuple[str, ...]


def entered(value_set: Mapping[str, Any], trail: Trail) -> Trail:
    """The trail with this value set on it. Raises `Unprocessable` when it is there already, or the trail is long."""
    url = value_set.get("url") or f"#{len(trail)}"
    if url in trail or len(trail) >= _DEEPEST:
        raise Unprocessable(f"The value set {url} imports itself, or imports more than {_DEEPEST} deep.")
    return (*trail, url)


def includes(value_set: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What it includes; nothing when it has no `compose`."""
    found: Sequence[Mapping[str, Any]] = value_set.get("compose", {}).get("include", ())
    return found


def excludes(value_set: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What it takes away again."""
    found: Sequence[Mapping[str, Any]] = value_set.get("compose", {}).get("exclude", ())
    return found


def carried(value_set: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The items of the expansion that the resource carries, at any depth, in order."""
    waiting = list(reversed(value_set.get("expansion", {}).get("contains", ())))
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(reversed(item.get("contains", ())))


def listing(part: Mapping[str, Any], url: str) -> Iterator[tuple[str, Said]]:
    """The codes of a system that an include, or a carried expansion, lists: (code, what it says of it)."""
    for item in part["concept"] if "concept" in part else carried(part):
        if "code" in item and item.get("system", url) == url:
            yield item["code"], (item.get("display"), item.get("designation", ()))
