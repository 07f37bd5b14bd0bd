"""The parts of the extension `scheduling-parameters`: how each is read, and what it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.dates import parse_range, parse_time
from fhir_server.features.scheduling import holidays
from fhir_server.features.scheduling.hours import DAY, Weekly, day_of
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.parser import parse

Part = Mapping[str, Any]
WEEKDAYS = {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
_MINUTE_US = 60_000_000
_YEAR = 365 * DAY


@dataclass(frozen=True, slots=True)
class Needed:
    """One of these Schedules (`Schedule/id`) is needed beside the main one: a room, a second professional."""

    role: str
    schedules: tuple[str, ...]


class Wrong(Exception):
    """A value that cannot be. `path`: where, below the part."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.text, self.path = text, path


def value(part: Part, *kinds: str) -> Any:
    """The value[x] of one of these types."""
    for kind in kinds:
        if f"value{kind}" in part:
            return part[f"value{kind}"]
    raise Wrong(f"{part.get('url')} takes value{kinds[0]}.")


def minutes_of_day(text: str) -> int:
    """Minutes since midnight of a FHIR time. Raises `Wrong`."""
    try:
        at = parse_time(text)[0]
    except ValueError:
        raise Wrong("This is not a time such as 09:30:00.") from None
    if at % _MINUTE_US:
        raise Wrong("Hours are said in whole minutes.")
    return at // _MINUTE_US


def weekly(days: frozenset[int], start: str | None, end: str | None, **bounds: int | None) -> Weekly:
    """Weekly hours. Without a start from midnight, without an end until midnight. Raises `Wrong`."""
    from_ = 0 if start is None else minutes_of_day(start)
    to = DAY if end is None else minutes_of_day(end) or DAY
    if from_ == to:
        raise Wrong("The hours end when they begin. For the whole day leave out both.")
    return Weekly(days, from_, to, **bounds)


def period(found: Any, *, closed: bool = False) -> tuple[str, str]:
    """(start, end) of a Period, "" for an open end. `closed`: it needs both. Raises `Wrong`."""
    start, end = (str(found.get(name, "")) for name in ("start", "end")) if isinstance(found, Mapping) else ("", "")
    if not (start and end) and (closed or not (start or end)):
        raise Wrong("A period needs a start and an end." if closed else "A period needs a start or an end.")
    try:
        lo, hi = (parse_range(text) if text else None for text in (start, end))
    except ValueError:
        raise Wrong("A period has dates or times with an offset.") from None
    if lo and hi and hi[1] <= lo[0] + (0 if len(end) <= 10 else hi[1] - hi[0]):
        raise Wrong("The period ends before it starts.")
    return start, end


def _number(name: str, lowest: int, most: int) -> Callable[[Part], int]:
    def read(part: Part) -> int:
        number = value(part, "PositiveInt" if lowest else "UnsignedInt", "UnsignedInt", "PositiveInt", "Integer")
        if not isinstance(number, int) or isinstance(number, bool) or not lowest <= number <= most:
            raise Wrong(f"{name} is a whole number from {lowest} to {most}.")
        return number

    return read


def _flag(part: Part) -> bool:
    return bool(value(part, "Boolean"))


def _reference(*types: str) -> Callable[[Part], str]:
    def read(part: Part) -> str:
        text = str(value(part, "Reference").get("reference", ""))
        kind, _, id_ = text.rpartition("/")
        kind = kind.rpartition("/")[2]
        if kind not in types or not id_:
            raise Wrong(f"{part['url']} takes a reference to a {' or '.join(types)}.", ".valueReference.reference")
        return f"{kind}/{id_}"

    return read


def _zone(part: Part) -> str:
    name = str(value(part, "Code", "String"))
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, LookupError):
        raise Wrong(f"{name!r} is not a time zone of IANA, such as Africa/Casablanca.") from None


def _country(part: Part) -> str:
    code = str(value(part, "Code", "String"))
    if not holidays.known(code):
        raise Wrong(
            f"The holidays of {code!r} are not known here. Give a country of ISO 3166-1, such as MA, or closed."
        )
    return code


def _available(part: Part) -> Weekly:
    days: set[int] = set()
    single: dict[str, Any] = {}
    for index, inner in enumerate(part.get("extension", ())):
        path, name = f".extension[{index}]", inner.get("url")
        if name == "day":
            code = value(inner, "Code")
            if code not in WEEKDAYS:
                raise Wrong(f"{code!r} is not a day of the week: {', '.join(WEEKDAYS)}.", f"{path}.valueCode")
            days.add(WEEKDAYS[code])
        elif name in ("start", "end", "period") and name not in single:
            single[name] = value(inner, "Period" if name == "period" else "Time")
        else:
            raise Wrong("available has the parts day (any number), start, end and period (once each).", path)
    first, last = period(single["period"]) if "period" in single else ("", "")
    return weekly(
        frozenset(days or WEEKDAYS.values()), single.get("start"), single.get("end"),
        first=_day(first, last=False), last=_day(last, last=True),
    )  # fmt: skip


def _day(text: str, *, last: bool) -> int | None:
    if not text:
        return None
    if len(text) >= 10:
        return day_of(date.fromisoformat(text[:10]))
    # A year or a month: its first or last day.
    lo, hi = parse_range(text)
    return (hi - 1 if last else lo) // (DAY * _MINUTE_US)


def _extra(part: Part) -> tuple[str, str]:
    return period(value(part, "Period"), closed=True)


def _closed(part: Part) -> tuple[str, str]:
    inner = _parts(part, "period", "reason")
    if "period" not in inner:
        raise Wrong("closed needs the part period.")
    return period(value(inner["period"], "Period"))


def _reserve(part: Part) -> dict[str, int]:
    inner = _parts(part, "perDay", "releaseMinutes")
    if "perDay" not in inner:
        raise Wrong("emergencyReserve needs the part perDay.")
    found = {"reserve": _number("perDay", 1, 100)(inner["perDay"])}
    if "releaseMinutes" in inner:
        found["reserve_release"] = _number("releaseMinutes", 1, _YEAR)(inner["releaseMinutes"])
    return found


def _resource(part: Part) -> Needed:
    role, schedules = "", []
    for index, inner in enumerate(part.get("extension", ())):
        if inner.get("url") == "role":
            role = str(value(inner, "Code"))
        elif inner.get("url") == "schedule":
            schedules.append(_reference("Schedule")(inner))
        else:
            raise Wrong("resource has the parts role and schedule.", f".extension[{index}].url")
    if not schedules:
        raise Wrong("resource needs at least one schedule.")
    return Needed(role, tuple(schedules))


def _parts(part: Part, *names: str) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for index, inner in enumerate(part.get("extension", ())):
        if inner.get("url") not in names or inner["url"] in found:
            raise Wrong(f"{part['url']} has the parts {' and '.join(names)}, once each.", f".extension[{index}].url")
        found[inner["url"]] = inner
    return found


def _eligibility(part: Part) -> str:
    text = str(value(part, "String"))
    try:
        parse(text)
    except FhirPathError as error:
        raise Wrong(f"This is not FHIRPath: {error}", ".valueString") from None
    return text


def _questionnaire(part: Part) -> str:
    return _reference("Questionnaire")(part) if "valueReference" in part else str(value(part, "Canonical"))


def _price(part: Part) -> Mapping[str, Any]:
    money: Mapping[str, Any] = value(part, "Money")
    amount = money.get("value")
    if not isinstance(amount, (int, Decimal)) or amount < 0 or not money.get("currency"):
        raise Wrong("price needs a value that is not negative and a currency.", ".valueMoney")
    return money


# Part of the extension: (field of Rules, whether it repeats, how it is read).
READERS: Mapping[str, tuple[str, bool, Callable[[Part], Any]]] = {
    "service": ("service", False, _reference("HealthcareService")),
    "duration": ("duration", False, _number("duration", 1, DAY)),
    "bufferBefore": ("before", False, _number("bufferBefore", 0, DAY)),
    "bufferAfter": ("after", False, _number("bufferAfter", 0, DAY)),
    "alignmentInterval": ("interval", False, _number("alignmentInterval", 1, DAY)),
    "alignmentOffset": ("offset", False, _number("alignmentOffset", 0, DAY - 1)),
    "timezone": ("zone", False, _zone),
    "available": ("available", True, _available),
    "extra": ("extra", True, _extra),
    "closed": ("closed", True, _closed),
    "holidays": ("holidays", False, _country),
    "minNotice": ("min_notice", False, _number("minNotice", 0, _YEAR)),
    "maxAdvance": ("max_advance", False, _number("maxAdvance", 1, 3650)),
    "holdMinutes": ("hold_minutes", False, _number("holdMinutes", 1, DAY)),
    "cancelCutoff": ("cancel_cutoff", False, _number("cancelCutoff", 0, _YEAR)),
    "onlineBooking": ("online", False, _flag),
    "requiresConfirmation": ("requires_confirmation", False, _flag),
    "capacity": ("capacity", False, _number("capacity", 1, 1000)),
    "limitPerDay": ("limit_day", False, _number("limitPerDay", 1, 10_000)),
    "limitPerWeek": ("limit_week", False, _number("limitPerWeek", 1, 10_000)),
    "emergencyReserve": ("reserve", False, _reserve),
    "eligibility": ("eligibility", False, _eligibility),
    "questionnaire": ("questionnaires", True, _questionnaire),
    "insurer": ("insurers", True, _reference("Organization")),
    "resource": ("resources", True, _resource),
    "price": ("price", False, _price),
}


def nearest(name: str) -> str:
    """A hint for a part that does not exist."""
    near = get_close_matches(name, READERS, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
