"""A version of a resource, as stored and as about to be written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Version:
    """A version as it is stored. Times are microseconds since 1970; `body` is the JSON served, empty if deleted.

    Of a head that was locked for a caller: `hidden`, the caller may not know of it; `barred`, may not change it;
    `keys`: those of a deletion.
    """

    rid: int
    version: int
    deleted: bool
    method: str
    last_updated: int
    ts: int
    seq: int
    body: bytes
    type_id: int
    id: str
    hidden: bool = False
    barred: bool = False
    keys: Sequence[int] = ()


class IndexEntry(Protocol):
    """Index rows of one version, as `search.rows.IndexRows` holds them."""

    @property
    def keys(self) -> Sequence[int]:
        """For `resource.keys`."""

    @property
    def tokens(self) -> Sequence[int]:
        """(key) rows of `token`."""

    @property
    def references(self) -> Sequence[tuple[int, int]]:
        """(param, target) rows of `reference`."""

    @property
    def dates(self) -> Sequence[tuple[int, int, int]]:
        """(param, lo, hi) rows of `date`."""

    @property
    def strings(self) -> Sequence[tuple[int, str]]:
        """(param, value) rows of `string`."""

    @property
    def quantities(self) -> Sequence[tuple[int, int, float, float]]:
        """(param, unit key, lo, hi) rows of `quantity`."""

    @property
    def codes(self) -> Sequence[tuple[int, str, str, int]]:
        """(param, system, code, key) rows of `used_code`; a row may be named more than once."""


@dataclass(slots=True)
class NewVersion:
    """A version about to be written. `old` is the locked head it replaces, `old_index` that head's index rows."""

    type_id: int
    self_key: int
    id: str
    rid: int
    version: int
    deleted: bool
    method: str
    last_updated: int
    ts: int
    seq: int
    body: bytes
    index: IndexEntry
    old: Version | None
    old_index: IndexEntry | None = None
