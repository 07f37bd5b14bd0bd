"""Which moves of Appointment.status there are: `profiles/scheduling/states.json`."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.errors import Conflict


@cache
def table() -> Mapping[str, Any]:
    """The table: `moves`, `always` and `callers` (what somebody may do who is not staff)."""
    found: Mapping[str, Any] = dict(own_table("states"))["scheduling"]
    return found


def may_move(before: str, after: str) -> bool:
    """Whether a status may follow another; staying is no move."""
    return before == after or after in table()["always"] or after in table()["moves"].get(before, ())


def caller_may_move(before: str | None, after: str) -> bool:
    """The same for a caller who is not staff; `before` None: a first version."""
    rows = table()["callers"]
    if before is None:
        return after in rows["starts"]
    return before == after or after in rows["moves"].get(before, ())


def check_move(before: str, after: str) -> None:
    """Raise `Conflict` (409, wrong-state) for a move that is not in the table."""
    if before == after or not may_move(before, after):
        raise Conflict(
            f"The Appointment is {before}; it cannot become {after} now.",
            expression="Appointment.status",
            detail="wrong-state",
        )
