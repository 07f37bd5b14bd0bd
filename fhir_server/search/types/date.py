"""date parameters: ranges compared with ranges. https://hl7.org/fhir/R4/search.html#date"""

from collections.abc import Sequence

from fhir_server.core.dates import parse_range
from fhir_server.core.keys import param_id, present_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.elements import single_valued, targets_of
from fhir_server.search.extract import primary_date
from fhir_server.search.leaves import Updated
from fhir_server.search.ranges import DateIs
from fhir_server.search.tree import Node, Not, any_of

PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_POINTS = frozenset({"instant", "dateTime", "date"})
_EXPECTED = (
    "a date or dateTime such as 2026, 2026-11, 2026-11-21 or 2026-11-21T08:00:00Z, with an optional prefix"
    " (eq ne gt lt ge le sa eb ap)"
)


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a date parameter."""
    if asked.modifier:
        raise asked.bad_modifier(("missing",))
    param = param_id(asked.resource_type, asked.param.code)
    single = single_valued(asked.registry, asked.param)
    moment = _moment(asked) if single else None

    def match(values: Sequence[str], asker: Asker) -> Node:
        return any_of([DateIs(param, *interval(asked, value, asker), single, None, moment) for value in values])

    return match


def _moment(asked: Asked) -> int | None:
    """Key of having a value, when the parameter gives the type's own time and is always a point in time."""
    resource_type, code = asked.resource_type, asked.param.code
    types = {target.element.type for target in targets_of(asked.registry, asked.param)}
    if primary_date(resource_type) != code or not types or types - _POINTS:
        return None
    return present_key(resource_type, code)


def interval(asked: Asked, value: str, asker: Asker) -> tuple[str, int, int]:
    """Prefix and [a, b) in microseconds of a value; for `ap` already widened by a tenth of the distance from now."""
    op, text = (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)
    try:
        # A plus sign that was not encoded arrives as a space.
        a, b = parse_range(text.replace(" ", "+"), asker.zone)
    except ValueError:
        raise asked.bad_value(_EXPECTED) from None
    if op == "ap":
        gap = abs(asker.now_us - a) // 10
        a, b = a - gap, b + gap
    return op, a, b


def updated(asked: Asked, type_ids: tuple[int, ...]) -> Term:
    """The compiler of `_lastUpdated`, an instant on the row itself."""
    if asked.modifier:
        raise asked.bad_modifier(())

    def match(values: Sequence[str], asker: Asker) -> Node:
        found: list[Node] = []
        for value in values:
            op, a, b = interval(asked, value, asker)
            lo = {"eq": a, "ap": a, "ne": a, "gt": b, "sa": b, "ge": a}.get(op)
            hi = {"eq": b, "ap": b, "ne": b, "lt": a, "eb": a, "le": b}.get(op)
            node = Updated(type_ids, lo, hi)
            found.append(Not(node) if op == "ne" else node)
        return any_of(found)

    return match
