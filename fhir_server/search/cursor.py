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


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a walk stands. `newest`: resources made later than this rid do not count; `total`: what the first page
    counted, if it did."""

    after: Position
    newest: int
    total: int | None = None


def write(key: bytes, scope: str, progress: Progress) -> str:
    """The cursor for the next page."""
    after = progress.after
    return seal(key, scope, [list(after.values), after.rid, progress.newest, progress.total])


def read(key: bytes, scope: str, cursor: str) -> Progress:
    """What a cursor says. Raises `Invalid` for one that was altered or made for something else."""
    position: Any = unseal(key, scope, cursor)
    values, rid, newest, total = position
    return Progress(Position(tuple(values), rid), newest, total)
