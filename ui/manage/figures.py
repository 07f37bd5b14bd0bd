"""Today's figures, each with the list that proves it."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue

from ui.manage import charts, day_figures
from ui.manage.day_figures import STATUSES, Figures
from ui.manage.place import bp
from ui.page import page, part, today, zone

_DAYS = 14
_BACK = 730


@bp.get("/")
def home(slug: str) -> ResponseReturnValue:
    """The figures of today, or of `day`."""
    return page("manage/figures.html", **_shown(slug))


@bp.get("/now")
def refreshed(slug: str) -> ResponseReturnValue:
    """The same figures as a fragment."""
    return part("manage/_figures.html", **_shown(slug))


@bp.get("/trend")
def trend(slug: str) -> ResponseReturnValue:
    """Visits of the last two weeks, day by day."""
    rows = day_figures.trend(_day(), _DAYS, zone())
    return part("manage/_trend.html", rows=rows, most=max((row[1] for row in rows), default=0))


def _day() -> date:
    try:
        asked = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return today()
    return asked if abs((asked - today()).days) <= _BACK else today()


def _shown(slug: str) -> dict[str, Any]:
    day = _day()
    found = day_figures.figures(day, zone())
    return {
        "figures": found,
        "day_of": day,
        "earlier": day - timedelta(days=1),
        "later": day + timedelta(days=1) if day < today() else None,
        "is_today": day == today(),
        "hours": charts.bars([(row.name, (row.booked, row.served, row.noshow)) for row in found.hours]),
        "waits": charts.bars([(f"{hour:02d}", (round(mid), round(long))) for hour, mid, long in found.waits_by_hour]),
        "lists": _lists(slug, found),
    }


def _lists(slug: str, found: Figures) -> dict[str, str]:
    """Where the list behind each figure is."""
    console = f"/t/{slug}/ui/console"
    dates = day_figures.during("date", found.day, zone())["date"]
    written = day_figures.during("authored-on", found.day, zone())["authored-on"]
    sent = day_figures.during("sent", found.day, zone())["sent"]
    start, _ = day_figures.bounds(found.day, zone())

    def at(kind: str, pairs: Sequence[tuple[str, str]]) -> str:
        return f"{console}/{kind}?{urlencode(list(pairs))}"

    links = {
        name: at("Appointment", [*(("date", each) for each in dates), ("status", statuses), ("_sort", "date")])
        for name, statuses in STATUSES.items()
    }
    tickets = [("code", day_figures.TICKET), *(("authored-on", each) for each in written)]
    links["tickets"] = at("Task", tickets)
    links["waiting"] = at("Task", [*tickets, ("status", "requested,accepted")])
    links["revenue"] = at("Invoice", [("status", "balanced"), *(("date", each) for each in dates)])
    links["sent"] = at("Communication", [("status", "completed,in-progress"), *(("sent", each) for each in sent)])
    links["failed"] = at("Communication", [("status", "not-done,unknown"), ("_lastUpdated", f"ge{start}")])
    return links
