"""Conditions on other resources: chains (`subject:Patient.name`) and `_has`.

https://hl7.org/fhir/R4/search.html#chaining and #has
"""

from dataclasses import dataclass
from typing import ClassVar

from fhir_server.search.tree import PROBE, Node, Walk, conjuncts, found
from fhir_server.storage.writer import Writer


def _linked(x: str, links: str, y: str, met: str) -> str:
    """EXISTS on the references of the row in hand, each with the resource at its other end. The order is written, by
    OFFSET 0 on both: of a tenant that is not in its statistics PostgreSQL thinks that it has one row, and begins
    anywhere."""
    other = f"SELECT 1 FROM resource {y} WHERE {y}.tenant_id = $1 AND {met} OFFSET 0"
    return (
        f"EXISTS (SELECT 1 FROM reference {x} CROSS JOIN LATERAL ({other}) {y}"
        f" WHERE {x}.tenant_id = $1 AND {links} OFFSET 0)"
    )


def _of_type(column: str, type_id: int, w: Writer) -> str:
    # `+ 0`: no index is looked up by it. The key decides already, and every resource of the type would be read instead.
    return f"{column} + 0 = {w.p(type_id)}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference parameter (`param`) points at a resource of a type that meets `target`."""

    param: int
    type_id: int
    target: Node
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        return None if self.target.rank is None else PROBE

    def where(self, w: Writer, row: str) -> str:
        x, y = w.alias(), w.alias()
        links = f"{x}.rid = {row}.rid AND {x}.param = {w.p(self.param)}"
        other = f"{y}.self_key = {x}.target AND {_of_type(f'{y}.type_id', self.type_id, w)}"
        return _linked(x, links, y, f"{other} AND NOT {y}.deleted AND {self.target.where(w, y)}")

    def rows(self, w: Writer) -> str:
        x, y = w.alias(), w.alias()
        targets = self.targets(w)
        return (
            f"SELECT {x}.rid FROM ({targets}) {y} CROSS JOIN LATERAL (SELECT rid FROM reference WHERE tenant_id = $1"
            f" AND target = {y}.self_key AND param = {w.p(self.param)} OFFSET 0) {x}"
        )

    def targets(self, w: Writer) -> str:
        """A SELECT of the keys of the resources pointed at."""
        return found(w, conjuncts(self.target), "self_key")

    def walk(self, w: Writer) -> Walk:
        """The referring rows of each target, in time order; good when the targets are few."""
        where = f"tenant_id = $1 AND target = b.v AND param = {w.p(self.param)}"
        return Walk("reference", "ts", where, f"({self.targets(w)}) b(v)")


@dataclass(frozen=True, slots=True)
class Has:
    """A resource that meets `source` points here by its reference parameter `param`. `type_id`: our own type."""

    param: int
    type_id: int
    source: Node
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        return None if self.source.rank is None else PROBE

    def where(self, w: Writer, row: str) -> str:
        x, y = w.alias(), w.alias()
        links = f"{x}.target = {row}.self_key AND {x}.param = {w.p(self.param)}"
        return _linked(x, links, y, f"{y}.rid = {x}.rid AND NOT {y}.deleted AND {self.source.where(w, y)}")

    def rows(self, w: Writer) -> str:
        x, y, z = w.alias(), w.alias(), w.alias()
        sources = found(w, conjuncts(self.source), "rid")
        link = f"rid = {y}.rid AND param = {w.p(self.param)}"
        targets = f"SELECT target FROM reference WHERE tenant_id = $1 AND {link} OFFSET 0"
        own = (
            f"SELECT rid FROM resource WHERE tenant_id = $1 AND self_key = {x}.target"
            f" AND {_of_type('type_id', self.type_id, w)} AND NOT deleted OFFSET 0"
        )
        return (
            f"SELECT {z}.rid FROM ({sources}) {y} CROSS JOIN LATERAL ({targets}) {x} CROSS JOIN LATERAL ({own}) {z}"
        )
