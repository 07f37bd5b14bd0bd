"""Records that break R4's rules in ways that the mode `tag` keeps, made from sound ones."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.hardening.conformance.hostile import Json

Path = tuple[str | int, ...]
CODED = frozenset({
    "status", "gender", "intent", "use", "system", "type", "priority", "docStatus", "mode", "unit", "comparator", "currency",
    "code", "criticality", "severity", "kind", "daysOfWeek",
})  # fmt: skip
ELSEWHERE = ("Device/none", "Patient/none", "urn:uuid:0c3201bd-1b5e-4d3f-9d8c-2c0fd1bd0b3e", "#none")
FAR = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2016-12-31T23:59:60Z", "2031")


def variants(record: Json) -> Iterator[Json]:
    """The record with one fault each: an unknown code, a reference elsewhere, a date far away, a gap."""
    record = {name: value for name, value in record.items() if name not in ("id", "meta", "text")}
    for path, value in _places(record):
        name = path[-1]
        if name in CODED and isinstance(value, str):
            yield _with(record, path, "zzz")
        if name == "reference":
            yield from (_with(record, path, other) for other in ELSEWHERE)
        if isinstance(value, str) and re.match(r"\d{4}-", value):
            yield from (_with(record, path, other) for other in FAR)
        if isinstance(name, str) and name != "resourceType":
            yield _without(record, path)


def _places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in inside:
        yield (*path, name), child
        yield from _places(child, (*path, name))


def _with(record: Json, path: Path, value: Any) -> Json:
    changed = deepcopy(record)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(record: Json, path: Path) -> Json:
    changed = deepcopy(record)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value
