"""Parts of dates and times, and the time between two of them.

https://build.fhir.org/ig/HL7/FHIRPath/#extract-datedatetimetime-components
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from fhir_server.fhirpath import temporal
from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import collected
from fhir_server.fhirpath.intervals import between
from fhir_server.fhirpath.nodes import (
    DATE,
    DATETIME,
    DECIMAL,
    EMPTY,
    KINDS,
    TEMPORAL,
    TIME,
    Node,
    Nodes,
    number,
    single,
    string,
)

_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")


def _moment(nodes: Nodes, name: str) -> tuple[Node, temporal.Moment] | None:
    node = single(nodes, f"'{name}'")
    if node is None or node[1] is None:
        return None
    kind = KINDS.get(node[0])
    if kind not in TEMPORAL:
        raise FhirPathError(f"'{name}' works on dates and times, not on {node[0]}.")
    return node, temporal.parse(node[1], kind == TIME)


def _part(name: str, at: int, value: Callable[[int | Decimal], int]) -> Build:
    """The part of a moment at a place of its parts, which begin at the hour in a time."""

    def on_nodes(nodes: Nodes) -> Nodes:
        found = _moment(nodes, name)
        if found is None:
            return EMPTY
        place = at - 3 if KINDS.get(found[0][0]) == TIME else at
        parts = found[1].parts
        return number(value(parts[place])) if 0 <= place < len(parts) else EMPTY

    return collected(name, on_nodes)


def _milliseconds(nodes: Nodes) -> Nodes:
    found = _moment(nodes, "millisecondOf")
    second = found[1].parts[-1] if found is not None else None
    if not isinstance(second, Decimal) or second.as_tuple().exponent == 0:
        return EMPTY
    return number(int(second % 1 * 1000))


def _zone(nodes: Nodes) -> Nodes:
    found = _moment(nodes, "timezoneOffsetOf")
    if found is None or found[1].offset is None:
        return EMPTY
    return [(DECIMAL, (Decimal(found[1].offset) / 60).quantize(Decimal("0.01")).normalize(), None)]


def _date(nodes: Nodes) -> Nodes:
    found = _moment(nodes, "dateOf")
    return EMPTY if found is None or KINDS.get(found[0][0]) == TIME else [(DATE, found[0][1][:10], None)]


def _time(nodes: Nodes) -> Nodes:
    found = _moment(nodes, "timeOf")
    if found is None or KINDS.get(found[0][0]) != DATETIME or "T" not in found[0][1]:
        return EMPTY
    clock = found[0][1].partition("T")[2]
    zone = 0 if found[1].offset is None else 1 if clock.endswith("Z") else 6
    return [(TIME, clock[: len(clock) - zone], None)] if clock else EMPTY


def _between(name: str, *, whole: bool) -> Build:
    """How many whole units lie between two moments, or how many boundaries of the unit."""

    def on_nodes(nodes: Nodes, other: Nodes, unit: Nodes) -> Nodes:
        first, second, asked = _moment(nodes, name), _moment(other, name), string(unit, f"'{name}'")
        if first is None or second is None or asked is None:
            return EMPTY
        bare = asked.removesuffix("s")
        if bare not in _UNITS:
            raise FhirPathError(f"'{name}' counts {'s, '.join(_UNITS)}s.")
        times = [KINDS.get(node[0]) == TIME for node, _ in (first, second)]
        if times[0] != times[1]:
            raise FhirPathError(f"'{name}' does not compare a time with a date.")
        count = between(first[1], second[1], bare, times[0], whole=whole)
        return EMPTY if count is None else number(count)

    return collected(name, on_nodes, 2)


FUNCTIONS: Mapping[str, Build] = {
    "yearOf": _part("yearOf", 0, int),
    "monthOf": _part("monthOf", 1, int),
    "dayOf": _part("dayOf", 2, int),
    "hourOf": _part("hourOf", 3, int),
    "minuteOf": _part("minuteOf", 4, int),
    "secondOf": _part("secondOf", 5, int),
    "millisecondOf": collected("millisecondOf", _milliseconds),
    "timezoneOffsetOf": collected("timezoneOffsetOf", _zone),
    "dateOf": collected("dateOf", _date),
    "timeOf": collected("timeOf", _time),
    "duration": _between("duration", whole=True),
    "difference": _between("difference", whole=False),
}
