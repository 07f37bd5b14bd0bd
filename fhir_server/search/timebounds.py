"""Bounds on a resource's own time that follow from conditions on its primary date, so that a walk can begin and end
where matches can be. The exact test stays with the `date` rows: a period's time is its start.
"""

from collections.abc import Sequence

from fhir_server.core.dates import DAY_US, MAX_US, MIN_US
from fhir_server.search.ranges import DateIs
from fhir_server.search.tree import Node
from fhir_server.storage import wire
from fhir_server.storage.writer import Writer

# With more long rows than this that reach past the wanted start, a walk is not bounded below.
_MOST_LONG = 1000


def conditions(w: Writer, nodes: Sequence[Node], primary: int | None) -> str:
    """SQL conditions on `ts`, each beginning with AND. `primary`: the parameter, None when it may have more values."""
    if primary is None:
        return ""
    parts = []
    for node in nodes:
        if isinstance(node, DateIs) and node.param == primary:
            upper, lower = node.upper(), node.lower()
            if upper is not None:
                parts.append(f" AND ts < {_upper(w, primary, upper)}")
            if lower is not None:
                parts.append(f" AND ts >= {_lower(w, primary, *lower)}")
    return "".join(parts)


def _upper(w: Writer, primary: int, us: int) -> str:
    # A period without a start begins before everything, but stands in the index under another time.
    return (
        f"(SELECT CASE WHEN EXISTS (SELECT 1 FROM date o WHERE o.tenant_id = $1 AND o.param = {w.p(primary)}"
        f" AND o.lo = {w.p(wire.timestamp(MIN_US))}) THEN {w.p(wire.timestamp(MAX_US))}::timestamptz"
        f" ELSE {w.p(wire.timestamp(us))}::timestamptz END)"
    )


def _lower(w: Writer, primary: int, us: int, long: bool) -> str:
    if not long:
        return w.p(wire.timestamp(us))
    least = f"{w.p(wire.timestamp(us - DAY_US))}::timestamptz"
    return (
        f"(SELECT CASE WHEN count(*) >= {_MOST_LONG} THEN {w.p(wire.timestamp(MIN_US))}::timestamptz"
        f" ELSE least(min(o.lo), {least}) END FROM (SELECT lo FROM date WHERE tenant_id = $1"
        f" AND param = {w.p(primary)} AND long AND hi > {w.p(wire.timestamp(us))} LIMIT {_MOST_LONG}) o)"
    )
