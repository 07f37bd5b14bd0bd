"""The hours of a Schedule as people fill them in: intervals by day of the week, once open, closed, holidays; there and
back. What the form does not know of the parameters stays as it is: hours that hold for a season, rules for one service.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from ui.manage import parts
from ui.manage.parts import Problems
from ui.manage.service_form import PARAMETERS
from ui.texts import say

Resource = dict[str, Any]
DAYS = (
    ("mon", "Monday"), ("tue", "Tuesday"), ("wed", "Wednesday"), ("thu", "Thursday"), ("fri", "Friday"),
    ("sat", "Saturday"), ("sun", "Sunday"),
)  # fmt: skip
_CODES = tuple(code for code, _ in DAYS)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")
_MOST = 12


@dataclass(slots=True)
class Week:
    """What the form says. `days`: (start, end) as `09:00` by day; `extra`: (date, start, end); `closed`: (first day,
    last day, reason)."""

    days: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {code: [] for code in _CODES})
    extra: list[tuple[str, str, str]] = field(default_factory=list)
    closed: list[tuple[str, str, str]] = field(default_factory=list)
    holidays: str = ""


def parameters_of(schedule: Mapping[str, Any]) -> Resource | None:
    """The Schedule's parameters in general: those that are not for one service."""
    for each in schedule.get("extension", ()):
        if each.get("url") == PARAMETERS and not parts.parts_of(each, "service"):
            found: Resource = each
            return found
    return None


def shown(schedule: Mapping[str, Any], zone: ZoneInfo) -> Week:
    """What the form says of a Schedule."""
    week, extension = Week(), parameters_of(schedule)
    for row in parts.parts_of(extension, "available"):
        said = _weekly(row)
        if said is not None:
            for day in said[0]:
                week.days[day].append((said[1], said[2]))
    for times in week.days.values():
        times.sort()
    for row in parts.parts_of(extension, "extra"):
        period = parts.value_of(row) or {}
        start, end = _local(period.get("start"), zone), _local(period.get("end"), zone)
        if start and end and start.date() == end.date():
            week.extra.append((start.date().isoformat(), f"{start:%H:%M}", f"{end:%H:%M}"))
    for row in parts.parts_of(extension, "closed"):
        closed = _closed(row)
        if closed is not None:
            week.closed.append(closed)
    for row in parts.parts_of(extension, "holidays"):
        week.holidays = str(parts.value_of(row) or "")
    return week


def seasonal(schedule: Mapping[str, Any]) -> list[tuple[list[str], str, str, str, str]]:
    """Hours that hold between dates only, which the form shows and keeps: days, start, end, first and last date."""
    found = []
    for row in parts.parts_of(parameters_of(schedule), "available"):
        given = {str(each.get("url")): parts.value_of(each) for each in row.get("extension", ())}
        if "period" in given:
            days = [str(parts.value_of(each)) for each in row.get("extension", ()) if each.get("url") == "day"]
            period = given["period"] or {}
            start, end = (str(given.get(name, "00:00"))[:5] for name in ("start", "end"))
            first, last = (str(period.get(name, "")) for name in ("start", "end"))
            found.append((days or list(_CODES), start, end, first, last))
    return found


def typed(form: "MultiDict[str, str]") -> Week:
    """What was posted; rows that are empty throughout are left out."""
    week = Week(holidays=form.get("holidays", "").strip().upper())
    for day in _CODES:
        rows = zip(form.getlist(f"{day}-start"), form.getlist(f"{day}-end"), strict=False)
        week.days[day] = [(start[:5], end[:5]) for start, end in rows if start or end]
    names = ("date", "start", "end")
    week.extra = [row for row in zip(*(form.getlist(f"extra-{name}") for name in names), strict=False) if any(row)]
    names = ("first", "last", "reason")
    week.closed = [row for row in zip(*(form.getlist(f"closed-{name}") for name in names), strict=False) if any(row)]
    return week


def check(week: Week, before: Week, problems: Problems) -> None:
    """Note what is wrong with the hours, at the day or row."""
    for day, times in week.days.items():
        _check_day(day, times, before.days[day], problems)
    for number, (on, start, end) in enumerate(week.extra):
        if not (_is_date(on) and _TIME.match(start) and _TIME.match(end) and start < end):
            problems.add(f"extra-{number}", say("Enter a date and a time from and until."))
    for number, (first, last, _) in enumerate(week.closed):
        if not (_is_date(first) and (not last or (_is_date(last) and last >= first))):
            problems.add(f"closed-{number}", say("Enter the first day and, if there are more, a later last day."))
    if week.holidays and not re.match(r"[A-Z]{2}\Z", week.holidays):
        problems.add("holidays", say("Enter the two letters of a country, such as MA."))


def _check_day(day: str, times: list[tuple[str, str]], before: list[tuple[str, str]], problems: Problems) -> None:
    if len(times) > _MOST:
        problems.add(day, say("At most %(most)s intervals a day.", most=_MOST))
    last = ""
    for start, end in sorted(times):
        if not (_TIME.match(start) and _TIME.match(end)):
            problems.add(day, say("Enter from when and until when, such as 09:00 and 12:30."))
        elif end <= start and end != "00:00" and (start, end) not in before:
            problems.add(day, say("The end is before the beginning."))
        elif start < last:
            problems.add(day, say("Two intervals overlap."))
        last = max(last, end)


def apply(schedule: Resource, week: Week, zone: ZoneInfo) -> None:
    """Bring a Schedule to what the form says; its other rules stay."""
    old = parameters_of(schedule)
    wanted = {"available": _available(week), "extra": _extra(week, zone), "closed": _closures(week),
              "holidays": [{"url": "holidays", "valueCode": week.holidays}] if week.holidays else []}  # fmt: skip
    kept: list[Resource] = []
    done: set[str] = set()
    for each in (old or {}).get("extension", ()):
        name = str(each.get("url"))
        if name not in wanted:
            kept.append(each)
            continue
        if name not in done:
            done.add(name)
            kept += _merged(parts.parts_of(old, name), wanted[name], _foreign(name, zone))
    for name in wanted.keys() - done:
        kept += wanted[name]
    made = {**{k: v for k, v in (old or {}).items() if k != "extension"}, "url": PARAMETERS, "extension": kept}
    listed = list(schedule.get("extension", ()))
    place = next((n for n, each in enumerate(listed) if each is old), None)
    if place is not None:
        listed[place] = made
    elif kept:
        listed.append(made)
    schedule["extension"] = [each for each in listed if each.get("extension") or each.get("url") != PARAMETERS]
    if not schedule["extension"]:
        del schedule["extension"]


def _merged(old: list[Resource], wanted: list[Resource], is_foreign: Any) -> list[Resource]:
    """The wanted rows; those that stand there already stay with whatever hangs on them, as do rows that the form does
    not show."""
    told = [(each, _said(each)) for each in old]
    rows = [next((each for each, said in told if said == _said(row)), row) for row in wanted]
    return [*(each for each in old if is_foreign(each)), *rows]


def _said(row: Resource) -> Any:
    inner = sorted((str(each.get("url")), str(parts.value_of(each))) for each in row.get("extension", ()))
    return inner or str(parts.value_of(row))


def _foreign(name: str, zone: ZoneInfo) -> Any:
    """Whether a row of this name is one that the form does not show."""
    if name == "available":
        return lambda row: _weekly(row) is None
    if name == "closed":
        return lambda row: _closed(row) is None
    if name == "extra":
        return lambda row: not shown(
            {"extension": [{"url": PARAMETERS, "extension": [row]}]}, zone
        ).extra  # fmt: skip
    return lambda row: False


def _weekly(row: Resource) -> tuple[list[str], str, str] | None:
    """Days and times of weekly hours that hold always; None for hours of a season."""
    given = {str(each.get("url")): parts.value_of(each) for each in row.get("extension", ())}
    if "period" in given:
        return None
    days = [str(parts.value_of(each)) for each in row.get("extension", ()) if each.get("url") == "day"]
    return days or list(_CODES), str(given.get("start", "00:00"))[:5], str(given.get("end", "00:00"))[:5]


def _closed(row: Resource) -> tuple[str, str, str] | None:
    """First day, last day and reason of a closure of whole days; None for one of hours."""
    given = {str(each.get("url")): parts.value_of(each) for each in row.get("extension", ())}
    period = given.get("period") or {}
    first, last = str(period.get("start", "")), str(period.get("end", ""))
    if not _is_date(first) or (last and not _is_date(last)):
        return None
    return first, last, str(given.get("reason") or "")


def _available(week: Week) -> list[Resource]:
    """One row for each interval, with the days on which it holds."""
    by_times: dict[tuple[str, str], list[str]] = {}
    for day in _CODES:
        for times in week.days[day]:
            by_times.setdefault(times, []).append(day)
    return [
        {"url": "available", "extension": [
            *({"url": "day", "valueCode": day} for day in days),
            {"url": "start", "valueTime": f"{start}:00"}, {"url": "end", "valueTime": f"{end}:00"},
        ]}
        for (start, end), days in sorted(by_times.items())
    ]  # fmt: skip


def _extra(week: Week, zone: ZoneInfo) -> list[Resource]:
    def at(on: str, time: str) -> str:
        return datetime.fromisoformat(f"{on}T{time}").replace(tzinfo=zone).isoformat()

    return [
        {"url": "extra", "valuePeriod": {"start": at(on, start), "end": at(on, end)}} for on, start, end in week.extra
    ]


def _closures(week: Week) -> list[Resource]:
    return [
        {"url": "closed", "extension": [
            {"url": "period", "valuePeriod": {"start": first, "end": last or first}},
            *([{"url": "reason", "valueString": reason.strip()[:500]}] if reason.strip() else []),
        ]}
        for first, last, reason in week.closed
    ]  # fmt: skip


def _local(text: Any, zone: ZoneInfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text)) if text and "T" in str(text) else None
    except ValueError:
        return None
    return found.astimezone(zone) if found and found.tzinfo else found


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False
