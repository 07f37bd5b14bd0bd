"""Conditions on the value tables: `date`, `string` and `quantity`.

Prefix semantics: https://hl7.org/fhir/R4/search.html#prefix
"""

from dataclasses import dataclass
from typing import ClassVar

from fhir_server.core.dates import DAY_US
from fhir_server.search.tree import PROBE, SCAN, SURE, exists
from fhir_server.storage import wire
from fhir_server.storage.writer import Writer

_SURE_PREFIX = 3
_EARTH_KM = 6371.0088


@dataclass(frozen=True, slots=True)
class DateIs:
    """A date row [lo, hi) compared with [a, b) of the query (microseconds). `op`: the FHIR prefix; `single`: a
    resource has one row of the parameter at most; `until`: an upper bound that the same row must meet; `moment`: key
    of having a value, when the resource's own time is that value (a point in time, never a period)."""

    param: int
    op: str
    a: int
    b: int
    single: bool = False
    until: "DateIs | None" = None
    moment: int | None = None
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        return None if self.op == "ne" else PROBE

    def where(self, w: Writer, row: str) -> str:
        x = w.alias()
        found = exists("date", w, row, f"{x}.param = {w.p(self.param)} AND {self._test(w, x)}", x)
        bound = {"ge": self.a, "sa": self.b}.get(self.op)
        if self.moment is None or self.until is not None or bound is None:
            return found
        # Most rows of a walk are decided by their own time; only those near the bound need their date row.
        later = f"{row}.ts >= {w.p(wire.timestamp(bound))} AND {w.p(self.moment)} = ANY({row}.keys)"
        return f"(({later}) OR {found})"

    def _test(self, w: Writer, x: str) -> str:
        mine = self._own_test(w, x)
        return mine if self.until is None else f"{mine} AND {self.until._own_test(w, x)}"

    def _own_test(self, w: Writer, x: str) -> str:
        a, b = wire.timestamp(self.a), wire.timestamp(self.b)
        match self.op:
            case "eq":
                return f"{x}.lo >= {w.p(a)} AND {x}.hi <= {w.p(b)}"
            case "ne":
                return f"NOT ({x}.lo >= {w.p(a)} AND {x}.hi <= {w.p(b)})"
            case "gt":
                return f"{x}.hi > {w.p(b)}"
            case "lt":
                return f"{x}.lo < {w.p(a)}"
            case "ge":
                return f"({x}.lo >= {w.p(a)} OR {x}.hi > {w.p(b)})"
            case "le":
                return f"({x}.lo < {w.p(a)} OR {x}.hi <= {w.p(b)})"
            case "sa":
                return f"{x}.lo >= {w.p(b)}"
            case "eb":
                return f"{x}.hi <= {w.p(a)}"
            case _:
                return f"({x}.lo < {w.p(b)} AND {x}.hi > {w.p(a)})"

    def rows(self, w: Writer) -> str:
        head = f"SELECT rid FROM date x WHERE tenant_id = $1 AND param = {w.p(self.param)} AND "
        if self.until is not None:
            head += f"x.lo < {w.p(wire.timestamp(self.upper() or 0))} AND {self.until._own_test(w, 'x')} AND "
        a, b = self.a, self.b
        match self.op:
            case "eq" | "le":
                return f"{head}x.lo < {w.p(wire.timestamp(b))} AND {self._own_test(w, 'x')}"
            case "eb":
                return f"{head}x.lo < {w.p(wire.timestamp(a))} AND {self._own_test(w, 'x')}"
            case "lt" | "sa":
                return head + self._own_test(w, "x")
            case "gt":
                return self._ends_after(w, head, b, None)
            case "ge":
                later = f"{head}x.lo >= {w.p(wire.timestamp(a))}"
                return f"{later} UNION ALL {self._ends_after(w, head, b, a)}"
            case _:
                return self._ends_after(w, head, a, b)

    def _ends_after(self, w: Writer, head: str, end: int, before: int | None) -> str:
        # A row of at most a day that ends after `end` also starts after `end` less a day; the long rows are few.
        hi = f"x.hi > {w.p(wire.timestamp(end))}"
        if before is not None:
            hi += f" AND x.lo < {w.p(wire.timestamp(before))}"
        short = f"{head}NOT x.long AND x.lo > {w.p(wire.timestamp(end - DAY_US))} AND {hi}"
        return f"{short} UNION ALL {head}x.long AND {hi}"

    def upper(self) -> int | None:
        """A resource that matches starts before this."""
        if self.until is not None:
            return self.until.upper()
        return {"eq": self.b, "le": self.b, "ap": self.b, "lt": self.a, "eb": self.a}.get(self.op)

    def is_day(self) -> bool:
        """Equal to a day or less."""
        return self.op == "eq" and self.b - self.a <= DAY_US

    def lower(self) -> tuple[int, bool] | None:
        """A resource that matches starts at or after this, less a day, unless (True) its row is long."""
        if self.op in ("eq", "sa"):
            return (self.a if self.op == "eq" else self.b), False
        end = {"gt": self.b, "ge": min(self.a, self.b), "ap": self.a}.get(self.op)
        return None if end is None else (end, True)


@dataclass(frozen=True, slots=True)
class StringIs:
    """A string row equal to `value` (`eq`), starting with it (`sw`), containing it (`co`), ending with it (`ew`),
    or in byte order against it (`gt lt ge le`)."""

    param: int
    op: str
    value: str
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        if self.op == "sw":
            return SURE if len(self.value) >= _SURE_PREFIX else PROBE
        return {"eq": SURE, "co": SCAN, "ew": SCAN}.get(self.op, PROBE)

    def where(self, w: Writer, row: str) -> str:
        x = w.alias()
        return exists("string", w, row, f"{x}.param = {w.p(self.param)} AND {self._test(w, x)}", x)

    def rows(self, w: Writer) -> str:
        return f"SELECT rid FROM string x WHERE tenant_id = $1 AND param = {w.p(self.param)} AND {self._test(w, 'x')}"

    def _test(self, w: Writer, x: str) -> str:
        value = w.p(self.value)
        match self.op:
            case "eq":
                return f"{x}.val = {value}"
            case "sw":
                end = after_prefix(self.value)
                return f"{x}.val >= {value}" + (f" AND {x}.val < {w.p(end)}" if end else "")
            case "co":
                return f"position({value}::text in {x}.val) > 0"
            case "ew":
                return f"right({x}.val, {len(self.value)}) = {value}"
            case _:
                return f"{x}.val {_COMPARE[self.op]} {value}"


_COMPARE = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "sa": ">", "eb": "<"}


def after_prefix(prefix: str) -> str | None:
    """The smallest text greater, in code point order, than every text with the prefix; None when there is none."""
    for end in range(len(prefix), 0, -1):
        point = ord(prefix[end - 1])
        if point < 0x10FFFF:
            following = 0xE000 if point == 0xD7FF else point + 1
            return prefix[: end - 1] + chr(following)
    return None


@dataclass(frozen=True, slots=True)
class QuantityIs:
    """A quantity row [lo, hi] compared with the query's number: `a`..`b` is its implicit range (`eq ne ap`), or
    both are the number itself (other prefixes). `single` and `until` as in `DateIs`."""

    param: int
    unit: int
    op: str
    a: float
    b: float
    single: bool = False
    until: "QuantityIs | None" = None
    once: ClassVar[bool] = False

    @property
    def rank(self) -> int | None:
        return None if self.op == "ne" else PROBE

    def where(self, w: Writer, row: str) -> str:
        x = w.alias()
        condition = f"{x}.param = {w.p(self.param)} AND {x}.unit_key = {w.p(self.unit)} AND {self._test(w, x)}"
        return exists("quantity", w, row, condition, x)

    def _test(self, w: Writer, x: str) -> str:
        mine = self._own_test(w, x)
        return mine if self.until is None else f"{mine} AND {self.until._own_test(w, x)}"

    def _own_test(self, w: Writer, x: str) -> str:
        match self.op:
            case "eq":
                b = w.p(self.b)
                return f"{x}.lo >= {w.p(self.a)} AND {x}.lo < {b} AND {x}.hi < {b}"
            case "ne":
                return f"NOT ({x}.lo >= {w.p(self.a)} AND {x}.hi < {w.p(self.b)})"
            case "ap":
                return f"({x}.lo <= {w.p(self.b)} AND {x}.hi >= {w.p(self.a)})"
            case _:
                column = "lo" if self.op in ("lt", "le", "sa") else "hi"
                return f"{x}.{column} {_COMPARE[self.op]} {w.p(self.a)}"

    def rows(self, w: Writer) -> str:
        head = (
            f"SELECT rid FROM quantity x WHERE tenant_id = $1 AND param = {w.p(self.param)}"
            f" AND unit_key = {w.p(self.unit)} AND "
        )
        if self.until is not None:
            head += f"x.lo <= {w.p(self.until.b)} AND {self.until._own_test(w, 'x')} AND "
        a, b = w.p(self.a), w.p(self.b)
        # A plain value has lo = hi, so a test of `hi` is one of `lo`; ranges and comparators are the few others.
        match self.op:
            case "gt" | "ge":
                sign = _COMPARE[self.op]
                return f"{head}x.lo {sign} {a} UNION ALL {head}x.lo < x.hi AND x.lo <= {b} AND x.hi {sign} {a}"
            case "eb":
                return f"{head}x.lo < {a} AND x.hi < {b}"
            case "ap":
                return f"{head}x.lo >= {a} AND x.lo <= {b} UNION ALL {head}x.lo < x.hi AND x.lo < {a} AND x.hi >= {a}"
            case _:
                return f"{head}{self._own_test(w, 'x')} AND {a}::float8 <= {b}::float8"


@dataclass(frozen=True, slots=True)
class SpanIs:
    """A row whose `lo` and `hi` are two numbers of one composite element: each has its own condition."""

    param: int
    unit: int
    tests: tuple[tuple[str, str, float, float], ...]
    rank: ClassVar[int | None] = PROBE
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        x = w.alias()
        return exists("quantity", w, row, self._test(w, x), x)

    def rows(self, w: Writer) -> str:
        return f"SELECT rid FROM quantity x WHERE tenant_id = $1 AND {self._test(w, 'x')}"

    def _test(self, w: Writer, x: str) -> str:
        parts = [f"{x}.param = {w.p(self.param)} AND {x}.unit_key = {w.p(self.unit)}"]
        for column, op, a, b in self.tests:
            name = f"{x}.{column}"
            if op in ("eq", "ap"):
                parts.append(f"{name} >= {w.p(a)} AND {name} {'<' if op == 'eq' else '<='} {w.p(b)}")
            elif op == "ne":
                parts.append(f"NOT ({name} >= {w.p(a)} AND {name} < {w.p(b)})")
            else:
                parts.append(f"{name} {_COMPARE[op]} {w.p(a)}")
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class Near:
    """A position within `km` of a point: a box of latitudes drives, the great-circle distance decides."""

    latitude_param: int
    longitude_param: int
    unit: int
    latitude: float
    longitude: float
    km: float
    rank: ClassVar[int | None] = PROBE
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        la, lo = w.alias(), w.alias()
        lat, lon = f"radians({w.p(self.latitude)}::float8)", f"radians({w.p(self.longitude)}::float8)"
        cosine = (
            f"sin({lat}) * sin(radians({la}.lo)) + cos({lat}) * cos(radians({la}.lo)) * cos(radians({lo}.lo) - {lon})"
        )
        positions = (
            f"SELECT lo FROM quantity WHERE tenant_id = $1 AND rid = {row}.rid AND param = {w.p(self.longitude_param)}"
            f" AND unit_key = {w.p(self.unit)} OFFSET 0"
        )
        return (
            f"EXISTS (SELECT 1 FROM quantity {la} CROSS JOIN LATERAL ({positions}) {lo}"
            f" WHERE {la}.tenant_id = $1 AND {la}.rid = {row}.rid AND {la}.param = {w.p(self.latitude_param)}"
            f" AND {la}.unit_key = {w.p(self.unit)}"
            f" AND {_EARTH_KM} * acos(least(1, greatest(-1, {cosine}))) <= {w.p(self.km)} OFFSET 0)"
        )

    def rows(self, w: Writer) -> str:
        degrees = self.km / _EARTH_KM * 57.29577951308232 + 1e-6
        return (
            f"SELECT y.rid FROM (SELECT rid FROM quantity WHERE tenant_id = $1 AND param = {w.p(self.latitude_param)}"
            f" AND unit_key = {w.p(self.unit)} AND lo >= {w.p(self.latitude - degrees)}"
            f" AND lo <= {w.p(self.latitude + degrees)} OFFSET 0) y WHERE {self.where(w, 'y')}"
        )
