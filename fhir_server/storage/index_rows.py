"""Index rows of versions about to be written: a statement per table that has rows to lose or to gain.

Old and new rows are both known here (the old ones are extracted from the version that is replaced), so an update
touches only what differs and never asks the database which rows there are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.storage import wire
from fhir_server.storage.session import Statement
from fhir_server.storage.versions import IndexEntry, NewVersion

_DAY_US = 86_400_000_000
Rows = set[tuple[Any, ...]]
Pack = Callable[[Sequence[Any]], wire.Binary]


@dataclass(frozen=True, slots=True)
class IndexTable:
    """An index table: its key columns after tenant_id, how each is sent, and the rows of a version."""

    name: str
    columns: tuple[tuple[str, str, Pack], ...]
    rows: Callable[[IndexEntry, int, int], Iterable[tuple[Any, ...]]]

    def delete(self) -> str:
        """The statement that takes rows out."""
        same = " AND ".join(f"t.{name} = o.{name}" for name, _, _ in self.columns)
        return f"DELETE FROM {self.name} t USING {self._unnest('o')} WHERE t.tenant_id = $1 AND {same}"

    def insert(self, *, fresh: bool = False) -> str:
        """The statement that puts rows in. `fresh`: of new resources only, so none can be there already (looking for a
        conflict is a quarter of an insert)."""
        names = ", ".join(name for name, _, _ in self.columns)
        extra, value = (", long", f", hi - lo > interval '{_DAY_US} us'") if self.name == "date" else ("", "")
        return (
            f"INSERT INTO {self.name} (tenant_id, {names}{extra}) SELECT $1, {names}{value}"
            f" FROM {self._unnest('n')}{'' if fresh else ' ON CONFLICT DO NOTHING'}"
        )

    def _unnest(self, alias: str) -> str:
        arrays = ", ".join(f"${i}::{kind}[]" for i, (_, kind, _) in enumerate(self.columns, 2))
        return f"unnest({arrays}) AS {alias}({', '.join(name for name, _, _ in self.columns)})"

    def pack(self, tenant_id: int, rows: Rows) -> tuple[wire.Param, ...]:
        """The parameters of either statement. Sorted, so that concurrent writers meet index pages in one order."""
        by_column = zip(*sorted(rows), strict=True)
        return tenant_id, *(pack(values) for (_, _, pack), values in zip(self.columns, by_column, strict=True))


_BIGINT = ("bigint", wire.bigints)
_INT = ("int", wire.integers)
_TIME = ("timestamptz", wire.timestamps)
_FLOAT = ("float8", wire.floats)

TABLES = (
    IndexTable(
        "token",
        (("key", *_BIGINT), ("ts", *_TIME), ("rid", *_BIGINT)),
        lambda index, ts, rid: [(key, ts, rid) for key in index.tokens],
    ),
    IndexTable(
        "reference",
        (("param", *_INT), ("target", *_BIGINT), ("ts", *_TIME), ("rid", *_BIGINT)),
        lambda index, ts, rid: [(param, target, ts, rid) for param, target in index.references],
    ),
    IndexTable(
        "date",
        (("param", *_INT), ("lo", *_TIME), ("hi", *_TIME), ("rid", *_BIGINT)),
        lambda index, ts, rid: [(param, lo, hi, rid) for param, lo, hi in index.dates],
    ),
    IndexTable(
        "string",
        (("param", *_INT), ("val", "text", wire.texts), ("rid", *_BIGINT)),
        lambda index, ts, rid: [(param, value, rid) for param, value in index.strings],
    ),
    IndexTable(
        "quantity",
        (("param", *_INT), ("unit_key", *_BIGINT), ("lo", *_FLOAT), ("hi", *_FLOAT), ("rid", *_BIGINT)),
        lambda index, ts, rid: [(param, unit, lo, hi, rid) for param, unit, lo, hi in index.quantities],
    ),
)
_SQL = {table.name: (table.delete(), table.insert(), table.insert(fresh=True)) for table in TABLES}


def index_statements(tenant_id: int, news: Sequence[NewVersion]) -> list[Statement]:
    """The statements that bring the index tables from the old versions' rows to the new ones'."""
    statements: list[Statement] = []
    fresh = all(new.old is None for new in news)
    for table in TABLES:
        gone: Rows = set()
        come: Rows = set()
        for new in news:
            rows = set(table.rows(new.index, new.ts, new.rid))
            if new.old is not None and new.old_index is not None:
                before = set(table.rows(new.old_index, new.old.ts, new.rid))
                gone |= before - rows
                rows -= before
            come |= rows
        delete, insert, insert_fresh = _SQL[table.name]
        if gone:
            statements.append((delete, table.pack(tenant_id, gone)))
        if come:
            statements.append((insert_fresh if fresh else insert, table.pack(tenant_id, come)))
    return statements
