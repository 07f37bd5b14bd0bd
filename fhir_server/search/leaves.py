"""Conditions that a hash or a column of the row decides: keys, identity, references, `_lastUpdated`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fhir_server.search.tree import PROBE, UNIQUE, And, Node, Walk, any_of
from fhir_server.storage import wire
from fhir_server.storage.writer import Writer

# More keys than this are not walked side by side in time order, and are put into a hash table before rows are compared
# with them.
_MANY = 256


@dataclass(frozen=True, slots=True)
class Keys:
    """The resource has any of these keys (`core.keys`). `indexed`: they have rows in `token`, in time order;
    `known`: how selective they are then."""

    keys: tuple[int, ...]
    indexed: bool = True
    known: int = PROBE

    @property
    def rank(self) -> int | None:
        return self.known if self.indexed else None

    @property
    def once(self) -> bool:
        return len(self.keys) == 1

    @property
    def many(self) -> bool:
        """Whether there are too many to walk them all, or to compare each with each of a row's."""
        return len(self.keys) > _MANY

    def where(self, w: Writer, row: str) -> str:
        if len(self.keys) == 1:
            return f"{w.p(self.keys[0])} = ANY({row}.keys)"
        keys = f"{w.p(wire.bigints(self.keys))}::bigint[]"
        if not self.many:
            return f"{row}.keys && {keys}"
        # IS TRUE keeps the inner query from becoming a join, whose hash table would be built for every row.
        return f"EXISTS (SELECT 1 FROM unnest({row}.keys) k(v) WHERE (k.v IN (SELECT unnest({keys}))) IS TRUE)"

    def rows(self, w: Writer) -> str:
        return f"SELECT rid FROM token WHERE tenant_id = $1 AND {self._match(w)}"

    def walk(self, w: Writer) -> Walk:
        """The rows of the keys, newest last in the index."""
        if len(self.keys) == 1:
            return Walk("token", "ts", f"tenant_id = $1 AND key = {w.p(self.keys[0])}")
        branches = f"unnest({w.p(wire.bigints(self.keys))}::bigint[]) b(v)"
        return Walk("token", "ts", "tenant_id = $1 AND key = b.v", branches)

    def _match(self, w: Writer) -> str:
        if len(self.keys) == 1:
            return f"key = {w.p(self.keys[0])}"
        return f"key = ANY({w.p(wire.bigints(self.keys))}::bigint[])"


def tokens(forms: Sequence[tuple[int, int | None]], known: int = PROBE) -> Node:
    """Any of these token forms, each as its key and that of its bare code (None: it has none, as `system|`).

    The bare codes drive and the exact forms are checked on the row; what has one of the forms has its bare code too.
    """
    exact, bare = [key for key, _ in forms], [key for _, key in forms if key is not None]
    return coded(exact, bare, known) if len(bare) == len(exact) else Keys(tuple(dict.fromkeys(exact)), False)


def coded(exact: Iterable[int], bare: Iterable[int], known: int = PROBE) -> Node:
    """Any of these token forms, all of which have a bare code."""
    checked, driving = tuple(dict.fromkeys(exact)), tuple(dict.fromkeys(bare))
    return Keys(checked, True, known) if driving == checked else And((Keys(driving, True, known), Keys(checked, False)))


def either(nodes: Sequence[Node]) -> Node:
    """The OR of nodes; keys become one node, whose index rows are read as one."""
    halves = [_halves(node) for node in nodes]
    if len(halves) < 2 or None in halves:
        return any_of(nodes)
    pairs = [pair for pair in halves if pair is not None]
    exact = _joined([pair[1] for pair in pairs])
    return exact if all(a is b for a, b in pairs) else And((_joined([pair[0] for pair in pairs]), exact))


def _halves(node: Node) -> tuple[Keys, Keys] | None:
    """The keys that drive and those that are checked, of what `tokens` makes; None for another node."""
    if isinstance(node, Keys):
        return node, node
    if isinstance(node, And) and len(node.of) == 2:
        first, second = node.of
        if isinstance(first, Keys) and isinstance(second, Keys):
            return first, second
    return None


def _joined(nodes: Sequence[Keys]) -> Keys:
    keys = tuple(dict.fromkeys([key for node in nodes for key in node.keys]))
    return Keys(keys, all(node.indexed for node in nodes), max(node.known for node in nodes))


@dataclass(frozen=True, slots=True)
class Self:
    """The resource is one of these (`self_key`)."""

    keys: tuple[int, ...]
    rank: ClassVar[int | None] = UNIQUE
    once: ClassVar[bool] = True

    def where(self, w: Writer, row: str) -> str:
        return f"{row}.self_key = ANY({w.p(wire.bigints(self.keys))}::bigint[])"

    def rows(self, w: Writer) -> str:
        keys = w.p(wire.bigints(self.keys))
        return f"SELECT rid FROM resource WHERE tenant_id = $1 AND self_key = ANY({keys}::bigint[]) AND NOT deleted"


@dataclass(frozen=True, slots=True)
class Refers:
    """A reference parameter points at any of these targets. `keys`: the same as keys on the row; `rank`: how
    selective."""

    param: int
    targets: tuple[int, ...]
    keys: tuple[int, ...]
    rank: int = PROBE

    @property
    def once(self) -> bool:
        return len(self.targets) == 1

    def where(self, w: Writer, row: str) -> str:
        return Keys(self.keys).where(w, row)

    def rows(self, w: Writer) -> str:
        targets = w.p(wire.bigints(self.targets))
        return (
            f"SELECT rid FROM reference WHERE tenant_id = $1 AND target = ANY({targets}::bigint[])"
            f" AND param = {w.p(self.param)}"
        )

    def walk(self, w: Writer) -> Walk:
        """The referring rows of each target, in time order."""
        if len(self.targets) == 1:
            target, branches = w.p(self.targets[0]), ""
        else:
            target, branches = "b.v", f"unnest({w.p(wire.bigints(self.targets))}::bigint[]) b(v)"
        where = f"tenant_id = $1 AND target = {target} AND param = {w.p(self.param)}"
        return Walk("reference", "ts", where, branches)


@dataclass(frozen=True, slots=True)
class Updated:
    """`_lastUpdated` in [lo, hi), microseconds; None is open. `type_ids`: the types searched."""

    type_ids: tuple[int, ...]
    lo: int | None
    hi: int | None
    rank: ClassVar[int | None] = PROBE
    once: ClassVar[bool] = True

    def where(self, w: Writer, row: str) -> str:
        parts = []
        if self.lo is not None:
            parts.append(f"{row}.last_updated >= {w.p(wire.timestamp(self.lo))}")
        if self.hi is not None:
            parts.append(f"{row}.last_updated < {w.p(wire.timestamp(self.hi))}")
        return "(" + " AND ".join(parts or ["true"]) + ")"

    def rows(self, w: Writer) -> str:
        types = w.p(wire.smallints(self.type_ids))
        return (
            f"SELECT rid FROM resource u WHERE tenant_id = $1 AND type_id = ANY({types}::smallint[])"
            f" AND NOT deleted AND {self.where(w, 'u')}"
        )
