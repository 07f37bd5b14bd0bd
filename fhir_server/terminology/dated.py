"""Definitions as they were on a date: of the versions held, the one that was in force.

https://hl7.org/fhir/R4/valueset-operation-expand.html (date): the definitions as they were on that date, or an error if
this is not possible.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from fhir_server.core.dates import format_instant, parse_range
from fhir_server.core.errors import Unprocessable

# When R4 4.0.1 was published, which all of the base package is of.
BASE_SINCE = parse_range("2019-10-30")[0]
_IN_VERSION = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:-?(\d\d)-?(\d\d))?(?!\d)")

T = TypeVar("T")


def since(resource: Mapping[str, Any]) -> int | None:
    """From when on a definition is in force, in microseconds: its `date`, else the date in its version, else when it
    was stored as it is now; None when it does not say."""
    stored = resource.get("meta", {}).get("lastUpdated", "")
    return _start(str(resource.get("date", ""))) or since_version(resource.get("version"), stored)


def since_version(version: str | None, stored: str) -> int | None:
    """The date in a version (`2024`, `20240131`, `2024-01-31`, an edition's URI), else when it was stored."""
    found = _IN_VERSION.search(version or "")
    return _start("-".join(filter(None, found.groups())) if found else stored)


def _start(text: str) -> int | None:
    try:
        return parse_range(text)[0] if text else None
    except ValueError:
        return None


def in_force(held: Iterable[tuple[int | None, T]], end: int, named: str) -> T | None:
    """Of versions with the moment since which each is in force, the newest of before `end`, of equal ones the first;
    None when there is no version at all. Raises `Unprocessable` when none of them is known to have been there."""
    several = list(held)
    fit = [(start, -place) for place, (start, _) in enumerate(several) if start is not None and start < end]
    if fit:
        return several[-max(fit)[1]][1]
    if not several:
        return None
    first = min((start for start, _ in several if start is not None), default=None)
    why = "what is held does not say its date" if first is None else f"it is known since {format_instant(first)[:10]}"
    raise Unprocessable(
        f"What {named} was on that date is not known here: {why}. Name its version instead.", code="not-supported",
        expression="http.date",
    )  # fmt: skip
