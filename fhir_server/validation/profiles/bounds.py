"""The least and the greatest value that a profile allows.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.minValue_x_
"""

from decimal import Decimal
from typing import Any

from fhir_server.core import ucum
from fhir_server.fhirpath import FhirPathError, Node, temporal
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

# UCUM's years and months are of the calendar where a clock is moved.
_CALENDAR = {"a": " year", "mo": " month"}


def bound_check(type_: str, limit: Any, sign: int, name: str, rule: str, owner: str) -> Check:
    """The check of one bound. sign: 1 for the least value, -1 for the greatest. A quantity bounds a date by its
    distance from now: into the past for the least, into the future for the greatest."""
    word = "at least" if sign > 0 else "at most"
    unit = f" {limit.get('unit') or limit.get('code') or ''}" if isinstance(limit, dict) else ""
    value = limit.get("value") if isinstance(limit, dict) else limit
    text = f"'{name}' must be {word} {value}{unit} in {owner}."
    early = f"'{name}' must not be more than {value}{unit} {'before' if sign > 0 else 'after'} now in {owner}."

    def check(node: Node, path: Path, trial: Trial) -> None:
        relative = isinstance(limit, dict) and isinstance(node[1], str)
        bound = _from_now(node[1], limit, sign, trial) if relative else limit
        order = compare(node[1], bound, type_ == "time")
        if order is not None and order * sign < 0:
            trial.fail(path, "value", early if relative else text, rule)

    return check


def _from_now(given: str, limit: dict[str, Any], sign: int, trial: Trial) -> str | None:
    """The moment that lies so far from now, as exact as the value that is given; None where the limit says none."""
    now = trial.env.moment().isoformat(timespec="milliseconds")
    unit = limit.get("code") or limit.get("unit") or ""
    try:
        moved = temporal.shift(now, -sign * Decimal(limit.get("value", "")), _CALENDAR.get(unit, unit), False)
    except (FhirPathError, ArithmeticError, TypeError, ValueError):
        return None
    return moved if "T" in given else moved[: min(len(given), 10)]


def compare(given: Any, limit: Any, is_time: bool = False) -> int | None:
    """-1, 0 or 1; None where it cannot be told: another type, another unit, dates of different precision."""
    if isinstance(limit, dict):
        return _compare_quantity(given, limit)
    if isinstance(limit, str):
        if not isinstance(given, str):
            return None
        try:
            return temporal.compare(given, limit, is_time)
        except FhirPathError:
            return None
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        return None
    return int(given > limit) - int(given < limit)


def _compare_quantity(given: Any, limit: dict[str, Any]) -> int | None:
    if not isinstance(given, dict) or "value" not in given or "value" not in limit:
        return None
    if (given.get("system"), given.get("code")) == (limit.get("system"), limit.get("code")):
        if "code" not in limit and given.get("unit") != limit.get("unit"):
            return None
        return compare(given["value"], limit["value"])
    if given.get("system") != ucum.SYSTEM or limit.get("system") != ucum.SYSTEM:
        return None
    a, b = (ucum.canonical(Decimal(each["value"]), each.get("code", "1")) for each in (given, limit))
    if a is None or b is None or a[1] != b[1]:
        return None
    return int(a[0] > b[0]) - int(a[0] < b[0])
