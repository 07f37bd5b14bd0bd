"""The typed tree that a search is parsed to, and how its nodes stand in SQL.

A node can always be a *filter* on a row of `resource` that is in hand; many can also be a *driver*: rows of an index
table with which a statement begins. https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

from fhir_server.storage import wire
from fhir_server.storage.writer import Writer

# How selective a driver is: next to one row; surely few rows; unknown, so count first; few rows, but found by reading
# a whole range of an index.
UNIQUE, SURE, PROBE, SCAN = 0, 1, 2, 3


class Node(Protocol):
    """A condition on a resource."""

    @property
    def rank(self) -> int | None:
        """`UNIQUE`, `SURE`, `PROBE` or `SCAN`; None when the condition cannot drive."""

    @property
    def once(self) -> bool:
        """Whether `rows` gives a resource once only."""

    def where(self, w: Writer, row: str) -> str:
        """The condition on the `resource` row of that alias."""

    def rows(self, w: Writer) -> str:
        """A SELECT of one column `rid`: every resource that meets the condition, perhaps more than once."""


class Timed(Node, Protocol):
    """A node whose index rows are in the order of the resources' own time."""

    def walk(self, w: Writer) -> "Walk":
        """The ordered read of its index rows."""


@dataclass(slots=True)
class Walk:
    """An ordered read of an index. `branches`: a FROM item `... b(v)` when the walk is a merge of several; `where`
    then names `b.v`. `first`: SQL with `d` and `r` that keeps the first of a resource's several rows."""

    table: str
    column: str
    where: str
    branches: str = ""
    first: str = ""


def resources(w: Writer, driver: Node) -> str:
    """A FROM item of the driver's `rid`s, each once."""
    rows = driver.rows(w)
    return f"({rows})" if driver.once else f"(SELECT DISTINCT s.rid FROM ({rows}) s)"


def exists(table: str, w: Writer, row: str, condition: str, alias: str) -> str:
    """EXISTS on an index table by the row's rid."""
    return (
        f"EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.tenant_id = $1 AND {alias}.rid = {row}.rid"
        f" AND {condition})"
    )


@dataclass(frozen=True, slots=True)
class Nothing:
    """Matches no resource."""

    rank: ClassVar[int | None] = SURE
    once: ClassVar[bool] = True

    def where(self, w: Writer, row: str) -> str:
        return "false"

    def rows(self, w: Writer) -> str:
        # The tenant is a parameter of every statement, so it is used here too.
        return "SELECT 0::bigint AS rid WHERE $1::integer IS NULL"


@dataclass(frozen=True, slots=True)
class TypeIs:
    """The resource is of one of these types."""

    type_ids: tuple[int, ...]
    rank: ClassVar[int | None] = None
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        return f"{row}.type_id = ANY({w.p(packed(self.type_ids), 'smallint[]')})"

    def rows(self, w: Writer) -> str:
        raise TypeError("a type alone does not drive")


@lru_cache(maxsize=1024)
def packed(type_ids: tuple[int, ...]) -> wire.Binary:
    """smallint[] of type ids, of which few different lists are ever asked for."""
    return wire.smallints(type_ids)


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold; also true of resources without any value."""

    of: Node
    rank: ClassVar[int | None] = None
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        return f"NOT ({self.of.where(w, row)})"

    def rows(self, w: Writer) -> str:
        raise TypeError("a negation does not drive")


@dataclass(frozen=True, slots=True)
class And:
    """All conditions hold."""

    of: tuple[Node, ...]
    once: ClassVar[bool] = True

    @property
    def rank(self) -> int | None:
        ranks = [n.rank for n in self.of if n.rank is not None]
        return min(ranks) if ranks else None

    def where(self, w: Writer, row: str) -> str:
        return "(" + " AND ".join([n.where(w, row) for n in self.of]) + ")" if self.of else "true"

    def rows(self, w: Writer) -> str:
        return found(w, conjuncts(self), "rid")


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the conditions holds."""

    of: tuple[Node, ...]
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        ranks = [n.rank for n in self.of]
        return None if None in ranks else max((r for r in ranks if r is not None), default=None)

    def where(self, w: Writer, row: str) -> str:
        return "(" + " OR ".join([n.where(w, row) for n in self.of]) + ")"

    def rows(self, w: Writer) -> str:
        return " UNION ALL ".join([f"({n.rows(w)})" for n in self.of])


def conjuncts(node: Node) -> list[Node]:
    """The node as a flat list of conditions that must all hold."""
    if isinstance(node, And):
        return [leaf for part in node.of for leaf in conjuncts(part)]
    return [node]


def any_of(nodes: Sequence[Node]) -> Node:
    """The OR of nodes; of none: nothing."""
    if len(nodes) == 1:
        return nodes[0]
    return Or(tuple(nodes)) if nodes else Nothing()


def all_of(nodes: Sequence[Node]) -> Node:
    """The AND of nodes."""
    return nodes[0] if len(nodes) == 1 else And(tuple(nodes))


def driver_of(nodes: Sequence[Node]) -> Node | None:
    """The most selective node by rank alone, or None when none can drive."""
    able = [(n.rank, i) for i, n in enumerate(nodes) if n.rank is not None]
    return nodes[min(able)[1]] if able else None


def found(w: Writer, nodes: Sequence[Node], column: str) -> str:
    """A SELECT of one column of the `resource` rows that meet all nodes, each row once."""
    driver = driver_of(nodes)
    if driver is None:
        raise TypeError("no condition can drive")
    d, r, o = w.alias(), w.alias(), w.alias()
    source = resources(w, driver)
    rest = "".join([f" AND {n.where(w, r)}" for n in nodes if n is not driver])
    return (
        f"SELECT {o}.{column} FROM {source} {d} CROSS JOIN LATERAL (SELECT {r}.{column} FROM resource {r}"
        f" WHERE {r}.tenant_id = $1 AND {r}.rid = {d}.rid AND NOT {r}.deleted{rest} OFFSET 0) {o}"
    )
