"""Preferred times of an appointment, as a Timing says them. https://hl7.org/fhir/R4/datatypes.html#Timing"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server.core.dates import parse_time, stored_range
from fhir_server.core.errors import Unprocessable
from fhir_server.features.scheduling.availability import Window, bounds
from fhir_server.features.scheduling.hours import DAY, Span, Spans, Weekly, intersection, merged, week
from fhir_server.features.scheduling.parameter_values import WEEKDAYS

_MINUTE_US = 60_000_000
_HOUR = 60
# Parts of the day as people make appointments, hours. https://hl7.org/fhir/R4/valueset-event-timing.html
_WHEN: Mapping[str, tuple[int, int]] = {
    "MORN": (6, 12),
    "MORN.early": (6, 9),
    "MORN.late": (9, 12),
    "NOON": (11, 14),
    "AFT": (12, 18),
    "AFT.early": (12, 15),
    "AFT.late": (15, 18),
    "EVE": (18, 22),
    "EVE.early": (18, 20),
    "EVE.late": (20, 22),
    "NIGHT": (22, 30),
}
_CODES: Mapping[str, tuple[int, int]] = {"AM": (0, 12), "PM": (12, 24)}
_USED = frozenset({"dayOfWeek", "timeOfDay", "when", "boundsPeriod", "id", "extension"})
_PATH = "Parameters.parameter.where(name='timing').valueTiming"


def wanted_starts(timing: Mapping[str, Any], window: Window) -> Spans:
    """The starts that a Timing wants, on the clinic's clock: on `dayOfWeek`, within an hour after a `timeOfDay`, in the
    part of the day that `when` or the code AM or PM names, within `boundsPeriod`, on the dates of `event`.

    Raises `Unprocessable` for what cannot be meant by one appointment.
    """
    check(timing)
    repeat = timing.get("repeat", {})
    days = frozenset(WEEKDAYS[day] for day in repeat.get("dayOfWeek", ())) or frozenset(WEEKDAYS.values())
    hours = [_when(code) for code in repeat.get("when", ())]
    hours += [_CODES[code] for code in _codes(timing)]
    spans = [(lo * _HOUR, hi * _HOUR) for lo, hi in hours]
    starts = [parse_time(text[:5])[0] // _MINUTE_US for text in repeat.get("timeOfDay", ())]
    spans += [(at, at + _HOUR) for at in starts]
    # Hours after midnight belong to the night that began the day before.
    rules = [Weekly(days, lo, hi if hi <= DAY else hi - DAY) for lo, hi in spans or [(0, DAY)]]
    found = window.clock.spans(week(rules, window.first - 1, window.last))
    if "boundsPeriod" in repeat:
        period = repeat["boundsPeriod"]
        found = intersection(found, [bounds((period.get("start", ""), period.get("end", "")), window.clock)])
    events = merged(_event(text, window) for text in timing.get("event", ()))
    return intersection(found, events) if events else found


def check(timing: Mapping[str, Any]) -> None:
    """Raise `Unprocessable` for a Timing that says more than when one appointment should be."""
    repeat = timing.get("repeat", {})
    unknown = sorted(set(repeat) - _USED)
    if unknown:
        raise _refused(f"timing may say {', '.join(sorted(_USED - {'id', 'extension'}))}.", f".repeat.{unknown[0]}")
    for code in repeat.get("when", ()):
        _when(code)
    _codes(timing)


def _when(code: str) -> tuple[int, int]:
    if code not in _WHEN:
        raise _refused(f"when is one of {', '.join(_WHEN)}: others are not times of a clinic's day.", ".repeat.when")
    return _WHEN[code]


def _codes(timing: Mapping[str, Any]) -> list[str]:
    codes = [coding.get("code", "") for coding in timing.get("code", {}).get("coding", ())]
    if any(code not in _CODES for code in codes):
        raise _refused("The code of a timing is AM or PM.", ".code")
    return codes


def _event(text: str, window: Window) -> Span:
    """A day, a month, or the hour that begins at a time."""
    lo, hi = stored_range(text, window.clock.zone)
    start = lo // _MINUTE_US
    return (start, hi // _MINUTE_US) if len(text) <= 10 else (start, start + _HOUR)


def _refused(text: str, path: str) -> Unprocessable:
    return Unprocessable(text, expression=_PATH + path, code="business-rule")
