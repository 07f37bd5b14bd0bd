"""The page link's cursor: where the page ended, for whom and for which query.

Nothing that existed unchanged during a walk is missed or shown twice: a page begins after a position in a total order,
and resources made after the first page do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.cursor import seal, unseal
from fhir_server.search.page import Position

_NOT_IN_QUERY = frozenset({"_cursor", "_format", "_pretty"})


def scope_text(tenant_id: int, url: str, pairs: Sequence[tuple[str, str]], visible: str) -> str:
    """What a cursor is bound to: tenant, path, parameters in their order, and what the caller may see."""
    query = "\x1e".join([f"{name}\x1f{value}" for name, value in pairs if name not in _NOT_IN_QUERY])
    return f"{tenant_id}\x1d{url.partition('://')[2].partition('/')[2]}\x1d{visible}\x1d{query}"


# How many pages back a walk remembers; each is some 40 bytes of the link.
_TRAIL = 10


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a walk stands. `after`: the page begins behind it (None: the first page); `newest`: resources made later
    than this rid do not count; `total`: what the first page counted, if it did; `trail`: where the pages before this
    one began, nearest last, as far as remembered."""

    after: Position | None
    newest: int
    total: int | None = None
    trail: tuple[Position | None, ...] = ()

    def onward(self, end: Position) -> "Progress":
        """The next page's progress, when this page ends at `end`."""
        return Progress(end, self.newest, self.total, (*self.trail, self.after)[-_TRAIL:])

    def back(self) -> "Progress | None":
        """The previous page's progress; None on the first page, or when that is too far back."""
        return Progress(self.trail[-1], self.newest, self.total, self.trail[:-1]) if self.trail else None


def write(key: bytes, scope: str, progress: Progress) -> str:
    """The cursor for the page that `progress` describes."""
    places = [*progress.trail, progress.after]
    flat = [None if place is None else [list(place.values), place.rid] for place in places]
    return seal(key, scope, [flat, progress.newest, progress.total])


def read(key: bytes, scope: str, cursor: str) -> Progress:
    """What a cursor says. Raises `Invalid` for one that was altered or made for something else."""
    position: Any = unseal(key, scope, cursor)
    flat, newest, total = position
    places = [None if place is None else Position(tuple(place[0]), place[1]) for place in flat]
    return Progress(places[-1], newest, total, tuple(places[:-1]))
