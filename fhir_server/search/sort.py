"""What a search is sorted by. The order is total: the keys, then `rid` in the direction of the last key.

Resources without a value come last in either direction. https://hl7.org/fhir/R4/search.html#sort
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from fhir_server.search.tree import Walk
from fhir_server.storage import wire
from fhir_server.storage.writer import Writer


class SortKey(Protocol):
    """One key. `cast`: SQL type of its value; `nullable`: a resource may have none."""

    @property
    def desc(self) -> bool: ...
    @property
    def cast(self) -> str: ...
    @property
    def nullable(self) -> bool: ...

    def value(self, w: Writer, row: str) -> str:
        """The value of a `resource` row, as SQL."""

    def absent(self, w: Writer, row: str) -> str:
        """The row has no value."""

    def walk(self, w: Writer) -> Walk | None:
        """An ordered read of the index that holds the values; None when there is no such index."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `resource`: `ts` (the resource's own time), `last_updated` or `id`."""

    column: str
    desc: bool
    type_ids: tuple[int, ...] = ()
    nullable: ClassVar[bool] = False

    @property
    def cast(self) -> str:
        return "text" if self.column == "id" else "timestamptz"

    def value(self, w: Writer, row: str) -> str:
        return f"{row}.{self.column}"

    def absent(self, w: Writer, row: str) -> str:
        return "false"

    def walk(self, w: Writer) -> Walk | None:
        if self.column != "last_updated":
            return None
        if len(self.type_ids) == 1:
            return Walk("resource", "last_updated", f"tenant_id = $1 AND type_id = {self.type_ids[0]} AND NOT deleted")
        types = f"unnest({w.p(wire.smallints(self.type_ids))}::smallint[]) b(v)"
        return Walk("resource", "last_updated", "tenant_id = $1 AND type_id = b.v AND NOT deleted", types)


_VALUES = {"string": ("val", "text"), "date": ("lo", "timestamptz"), "quantity": ("lo", "float8")}


@dataclass(frozen=True, slots=True)
class Value:
    """The least (ascending) or greatest value of parameters in their table. `unit`: for `quantity`."""

    table: str
    params: tuple[int, ...]
    desc: bool
    unit: int | None = None
    nullable: ClassVar[bool] = True

    @property
    def cast(self) -> str:
        return _VALUES[self.table][1]

    def _own(self, w: Writer, x: str) -> str:
        unit = "" if self.unit is None else f" AND {x}.unit_key = {w.p(self.unit)}"
        own = f"= {w.p(self.params[0])}" if len(self.params) == 1 else f"= ANY({w.p(wire.integers(self.params))})"
        return f"{x}.param {own}{unit}"

    def value(self, w: Writer, row: str) -> str:
        x, column = w.alias(), _VALUES[self.table][0]
        best = "max" if self.desc else "min"
        return (
            f"(SELECT {best}({x}.{column}) FROM {self.table} {x} WHERE {x}.tenant_id = $1 AND {x}.rid = {row}.rid"
            f" AND {self._own(w, x)})"
        )

    def absent(self, w: Writer, row: str) -> str:
        x = w.alias()
        return (
            f"NOT EXISTS (SELECT 1 FROM {self.table} {x} WHERE {x}.tenant_id = $1 AND {x}.rid = {row}.rid"
            f" AND {self._own(w, x)})"
        )

    def walk(self, w: Writer) -> Walk | None:
        if len(self.params) > 1:
            return None
        x, column = w.alias(), _VALUES[self.table][0]
        own = self._own(w, self.table)
        before = ">" if self.desc else "<"
        better = f"{x}.{column} {before} d.k0"
        if self.table != "string":
            # Several rows of one resource may share `lo`; the one that ends first stands for them.
            better = f"({better} OR ({x}.{column} = d.k0 AND {x}.hi < d.hi))"
        first = (
            f"NOT EXISTS (SELECT 1 FROM {self.table} {x} WHERE {x}.tenant_id = $1 AND {x}.rid = d.rid"
            f" AND {self._own(w, x)} AND {better})"
        )
        return Walk(self.table, column, f"tenant_id = $1 AND {own}", "", first)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A code of a small closed list: the position of the first of `keys` that the row has."""

    keys: tuple[int, ...]
    desc: bool
    cast: ClassVar[str] = "bigint"
    nullable: ClassVar[bool] = True

    def value(self, w: Writer, row: str) -> str:
        u = w.alias()
        keys = w.p(wire.bigints(self.keys))
        ranks = f"unnest({keys}::bigint[]) WITH ORDINALITY {u}(k, o)"
        return f"(SELECT min({u}.o) FROM {ranks} WHERE {u}.k = ANY({row}.keys))"

    def absent(self, w: Writer, row: str) -> str:
        return f"NOT ({row}.keys && {w.p(wire.bigints(self.keys))}::bigint[])"

    def walk(self, w: Writer) -> Walk | None:
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """A text inside the stored JSON, for what no index orders: codes of open lists, references."""

    paths: tuple[str, ...]
    desc: bool
    cast: ClassVar[str] = "text"
    nullable: ClassVar[bool] = True

    def value(self, w: Writer, row: str) -> str:
        found = [f"jsonb_path_query_first({row}.body::jsonb, {w.p(path)}::jsonpath) #>> '{{}}'" for path in self.paths]
        return f"(COALESCE({', '.join(found)}) COLLATE \"C\")"

    def absent(self, w: Writer, row: str) -> str:
        return f"{self.value(w, row)} IS NULL"

    def walk(self, w: Writer) -> Walk | None:
        return None


@dataclass(frozen=True, slots=True)
class Rest:
    """The resource's time, for resources that have none of the values sorted by; stands last."""

    of: tuple[SortKey, ...]
    desc: bool
    cast: ClassVar[str] = "timestamptz"
    nullable: ClassVar[bool] = True

    def value(self, w: Writer, row: str) -> str:
        return f"CASE WHEN {' AND '.join([key.absent(w, row) for key in self.of])} THEN {row}.ts END"

    def absent(self, w: Writer, row: str) -> str:
        return "false"

    def walk(self, w: Writer) -> Walk | None:
        return None
