"""A day of the clinic in numbers, from searches that an API client can make: a few counts, the day's visits, tickets
and invoices. What it costs depends on the size of a day, not on how much is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from ui import fhir
from ui.fhir import Found, Refused
from ui.formats import moment_of

Resource = Mapping[str, Any]
TICKET = "urn:salam:CodeSystem:task-kind|queue-ticket"
_ARRIVED = "urn:salam:StructureDefinition:arrived-at"
_ESTIMATE = "urn:salam:StructureDefinition:wait-estimate"
# Statuses of appointments behind each figure.
STATUSES = {
    "booked": "booked,pending,arrived,checked-in,fulfilled,noshow",
    "arrived": "arrived,checked-in",
    "served": "fulfilled",
    "noshow": "noshow",
    "cancelled": "cancelled",
}
_COMPARED = ("booked", "served", "noshow", "cancelled")
_MOST = 1000
_WAITING = ("waiting",)


@dataclass(slots=True)
class Row:
    """Visits of a practitioner or an hour."""

    name: str
    booked: int = 0
    served: int = 0
    noshow: int = 0


@dataclass(slots=True)
class Figures:
    """A day. `before`, `week_before`: counts of the day before and of the same day a week ago; `waits`: minutes from
    arrival to the start, in order; `coverage`: share of first estimates that held, None where none can be judged;
    `revenue`: sums by currency; `partial`: there was more than could be looked at; `missing`: what could not be
    asked."""

    day: date
    counts: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    week_before: dict[str, int] = field(default_factory=dict)
    hours: list[Row] = field(default_factory=list)
    people: list[Row] = field(default_factory=list)
    waiting: int = 0
    waits: list[float] = field(default_factory=list)
    waits_by_hour: list[tuple[int, float, float]] = field(default_factory=list)
    coverage: tuple[int, int] | None = None
    revenue: dict[str, Decimal] = field(default_factory=dict)
    invoices: int = 0
    sent: int = 0
    failed: int = 0
    budget: Resource | None = None
    partial: bool = False
    missing: list[str] = field(default_factory=list)

    @property
    def median_wait(self) -> int | None:
        """Minutes; None before anybody was served."""
        return round(median(self.waits)) if self.waits else None

    @property
    def long_wait(self) -> int | None:
        """Minutes within which 95 of 100 were called (nearest rank)."""
        return round(percentile(self.waits, 95)) if self.waits else None


def percentile(ordered: Sequence[float], share: int) -> float:
    """The nearest-rank percentile of values in order."""
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def bounds(day: date, zone: ZoneInfo) -> tuple[str, str]:
    """The beginning of a day and of the next one by the clinic's clock, as FHIR."""
    start, end = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    return start.isoformat(), end.isoformat()


def during(name: str, day: date, zone: ZoneInfo) -> dict[str, list[str]]:
    """The search parameters for a day."""
    start, end = bounds(day, zone)
    return {name: [f"ge{start}", f"lt{end}"]}


def figures(day: date, zone: ZoneInfo) -> Figures:
    """The figures of a day."""
    found = Figures(day)
    compared = [_count(day - timedelta(days=back), zone, name) for back in (1, 7) for name in _COMPARED]
    start, _ = bounds(day, zone)
    answers = fhir.gather([
        ("Appointment", {**during("date", day, zone), "_elements": "status,start,participant", "_count": _MOST}),
        ("Task", {"code": TICKET, **during("authored-on", day, zone), "_count": _MOST}),
        ("Invoice", {"status": "balanced", **during("date", day, zone), "_count": _MOST}),
        ("Communication", {"status": "completed,in-progress", **during("sent", day, zone), "_summary": "count"}),
        ("Communication", {"status": "not-done,unknown", "_lastUpdated": f"ge{start}", "_summary": "count"}),
        "Communication/$message-budget",
        *compared,
    ])  # fmt: skip
    visits, tickets, invoices, sent, failed, budget = answers[:6]
    _visits(found, _given(visits, "visits", found), zone)
    if found.partial:
        # More than a page: the figures are counted by the server, only the charts show a part.
        totals = fhir.gather([_count(day, zone, name) for name in STATUSES])
        found.counts = {name: _total(each) for name, each in zip(STATUSES, totals, strict=True)}
    _tickets(found, _given(tickets, "tickets", found), zone)
    _invoices(found, _given(invoices, "invoices", found))
    found.sent, found.failed = _total(sent), _total(failed)
    found.budget = None if isinstance(budget, Refused) else budget
    counts = [_total(each) for each in answers[6:]]
    found.before = dict(zip(_COMPARED, counts[:4], strict=True))
    found.week_before = dict(zip(_COMPARED, counts[4:], strict=True))
    return found


def _count(day: date, zone: ZoneInfo, name: str) -> tuple[str, dict[str, Any]]:
    """The search that counts a day's appointments of a figure."""
    return "Appointment", {**during("date", day, zone), "status": STATUSES[name], "_summary": "count"}


def _total(answer: Any) -> int:
    return answer.total or 0 if isinstance(answer, Found) else 0


def _given(answer: Any, name: str, found: Figures) -> list[Resource]:
    if isinstance(answer, Refused):
        found.missing.append(name)
        return []
    found.partial = found.partial or bool(answer.next)
    return list(answer.resources)


def _visits(found: Figures, visits: list[Resource], zone: ZoneInfo) -> None:
    hours: dict[int, Row] = {}
    people: dict[str, Row] = {}
    found.counts = dict.fromkeys(STATUSES, 0)
    for each in visits:
        status = str(each.get("status"))
        for name, statuses in STATUSES.items():
            found.counts[name] += status in statuses.split(",")
        if status not in STATUSES["booked"].split(",") or not each.get("start"):
            continue
        hour = moment_of(str(each["start"])).astimezone(zone).hour
        reference, name = _practitioner(each)
        for row in (hours.setdefault(hour, Row(f"{hour:02d}")), people.setdefault(reference, Row(name))):
            row.booked += 1
            row.served += status == "fulfilled"
            row.noshow += status == "noshow"
    if hours:
        found.hours = [hours.get(hour, Row(f"{hour:02d}")) for hour in range(min(hours), max(hours) + 1)]
    found.people = sorted(people.values(), key=lambda row: (-row.booked, row.name))


def _practitioner(visit: Resource) -> tuple[str, str]:
    for each in visit.get("participant", ()):
        reference = str(each.get("actor", {}).get("reference", ""))
        if reference.startswith("Practitioner"):
            return reference, str(each["actor"].get("display") or reference)
    return "", ""


def _tickets(found: Figures, tickets: list[Resource], zone: ZoneInfo) -> None:
    by_hour: dict[int, list[float]] = {}
    held = judged = 0
    for each in tickets:
        state = next((str(c.get("code")) for c in each.get("businessStatus", {}).get("coding", ())), "")
        found.waiting += state in _WAITING
        started = each.get("executionPeriod", {}).get("start")
        arrived = _extension(each, _ARRIVED).get("valueInstant")
        if not started or not arrived:
            continue
        start = moment_of(started)
        wait = max(0.0, (start - moment_of(arrived)).total_seconds() / 60)
        found.waits.append(wait)
        by_hour.setdefault(moment_of(arrived).astimezone(zone).hour, []).append(wait)
        span = {str(p.get("url")): _number(p) for p in _extension(each, _ESTIMATE).get("extension", ())}
        if "low" in span and "high" in span:
            judged += 1
            taken = (start - moment_of(str(each["authoredOn"]))).total_seconds() / 60
            held += span["low"] <= taken <= span["high"]
    found.waits.sort()
    found.waits_by_hour = [
        (hour, float(median(waits)), percentile(sorted(waits), 95)) for hour, waits in sorted(by_hour.items())
    ]
    found.coverage = (held, judged) if judged else None


def _extension(resource: Resource, url: str) -> Resource:
    found: Resource = next((each for each in resource.get("extension", ()) if each.get("url") == url), {})
    return found


def _number(part: Resource) -> float:
    value = next((value for name, value in part.items() if name.startswith("value")), 0)
    return float(value) if isinstance(value, int | float | Decimal) else 0.0


def _invoices(found: Figures, invoices: list[Resource]) -> None:
    found.invoices = len(invoices)
    for each in invoices:
        total = each.get("totalGross") or each.get("totalNet") or {}
        if total.get("value") is not None:
            currency = str(total.get("currency", ""))
            found.revenue[currency] = found.revenue.get(currency, Decimal(0)) + Decimal(str(total["value"]))


def trend(last: date, days: int, zone: ZoneInfo) -> list[tuple[date, int, int]]:
    """Visits served and missed on each of the days up to `last`."""
    wanted = [last - timedelta(days=back) for back in reversed(range(days))]
    asked = [_count(day, zone, name) for day in wanted for name in ("served", "noshow")]
    totals = [_total(each) for each in fhir.gather(asked)]
    return [(day, totals[2 * n], totals[2 * n + 1]) for n, day in enumerate(wanted)]
