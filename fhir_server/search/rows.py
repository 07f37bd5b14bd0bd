"""The index rows of one resource: what extraction gives and storage writes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class IndexRows:
    """Rows of the index tables for one resource; keys are the hashes of `core.keys`, times microseconds since 1970.

    `keys`: everything for `resource.keys` (a superset of `tokens`). `references`: (param, target key).
    `dates`: (param, lo, hi) half-open. `strings`: (param, value). `quantities`: (param, unit key, lo, hi), both ends
    included. `ts`: the primary clinical time, None when the resource has none.
    `records`: those of `tokens` that say in whose patient's record, and of which type, the resource is.
    `codes`: (param, system, code, key) of its codes (`storage.used_codes`), perhaps more than once.
    """

    keys: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    references: list[tuple[int, int]] = field(default_factory=list)
    dates: list[tuple[int, int, int]] = field(default_factory=list)
    strings: list[tuple[int, str]] = field(default_factory=list)
    quantities: list[tuple[int, int, float, float]] = field(default_factory=list)
    ts: int | None = None
    records: list[int] = field(default_factory=list)
    codes: list[tuple[int, str, str, int]] = field(default_factory=list)

    def settle(self) -> None:
        """Drop duplicates, keep first occurrences in order, and put every token among the keys."""
        self.tokens = list(dict.fromkeys(self.tokens))
        self.keys = list(dict.fromkeys(self.tokens + self.keys))
        self.references = list(dict.fromkeys(self.references))
        self.dates = list(dict.fromkeys(self.dates))
        self.strings = list(dict.fromkeys(self.strings))
        self.quantities = list(dict.fromkeys(self.quantities))


# Puts the rows of one element's value into the rows of its resource. The text is the tenant's FHIR base.
Emit = Callable[[Any, IndexRows, str], None]
