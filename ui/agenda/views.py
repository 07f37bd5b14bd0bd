"""The calendar page, its feeds, and the day as a plain list."""

from datetime import timedelta
from typing import Any

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from ui import fhir, page, texts
from ui.agenda import absence_views, book_views, feed, move_views, task_views, visit_views, waitlist_views
from ui.agenda.calendars import Calendars, calendars
from ui.agenda.clock import day_at, offset
from ui.agenda.routes import bp
from ui.agenda.task_views import OPEN_TASKS
from ui.agenda.visits import STATUSES, status_words

__all__ = ["absence_views", "book_views", "bp", "move_views", "task_views", "visit_views", "waitlist_views"]

_MOST_DAYS = 45
_LOCALES = {"fr": "fr-FR", "en": "en-GB", "es": "es-ES", "ar": "ar-MA-u-nu-latn-ca-gregory"}
_VIEWS = ("day", "week", "list")
_ACTORS = ("Practitioner/", "PractitionerRole/", "Location/", "Device/", "HealthcareService/")


@bp.get("/")
def calendar(slug: str) -> ResponseReturnValue:
    """The calendar: its frame and what it needs to know; the visits come by the feeds."""
    known = calendars()
    view = request.args.get("view", "")
    counts = fhir.gather([OPEN_TASKS, ("Appointment", {"status": "waitlist", "_summary": "count"})])
    tasks, waiting = ((each.total or 0) if isinstance(each, fhir.Found) else 0 for each in counts)
    return page.page(
        "agenda/calendar.html",
        day=day_at(request.args.get("date")),
        people=known.people(),
        rooms=[each for each in known.columns if each.kind == "room"],
        data=_data(known, view if view in _VIEWS else ""),
        statuses={name: status_words(name) for name in STATUSES if name not in ("proposed", "waitlist")},
        tasks=tasks,
        waiting=waiting,
    )


def _data(known: Calendars, view: str) -> dict[str, Any]:
    """What the script knows from the start."""
    me = page.me().user.fhir_user or ""
    columns = [
        {
            "id": each.id,
            "title": each.title,
            "short": each.short,
            "kind": each.kind,
            "also": each.also,
            "schedules": each.schedules,
            "offered": each.offered_by,
            "step": known.step_of(each),
        }
        for each in known.columns
    ]
    return {
        "columns": columns,
        "services": known.services,
        "mine": next((each.id for each in known.columns if me in (each.id, *each.also)), ""),
        "view": view,
        "day": day_at(request.args.get("date")).isoformat(),
        "today": page.today().isoformat(),
        "offset": offset(),
        "locale": _LOCALES[texts.language()],
        "statuses": {name: status_words(name)[0] for name in STATUSES},
        "visits": page.may_do("Appointment", "u"),
    }


@bp.get("/events")
def events(slug: str) -> Response:
    """JSON: the visits and blocked times of some days (`start`, `end`: days, the end not included), of some actors.

    400 for days that are none or too many.
    """
    first, last = day_at(request.args.get("start")), day_at(request.args.get("end"))
    if not first < last <= first + timedelta(days=_MOST_DAYS):
        return _bad("start and end are days, at most 45 apart.")
    actors = [each for each in request.args.get("who", "").split(",") if each.startswith(_ACTORS)]
    schedules = [each for each in request.args.get("schedules", "").split(",") if each.startswith("Schedule/")]
    found = feed.visits(first, last, actors, cancelled=request.args.get("cancelled") == "1")
    answer = jsonify(visits=found, blocked=feed.absences(first, last, schedules), offset=offset())
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.get("/hours")
def hours(slug: str) -> Response:
    """JSON: when Schedules are open on some days, and on which days is a public holiday."""
    first, last = day_at(request.args.get("start")), day_at(request.args.get("end"))
    if not first < last <= first + timedelta(days=_MOST_DAYS):
        return _bad("start and end are days, at most 45 apart.")
    schedules = [each for each in request.args.get("schedules", "").split(",") if each.startswith("Schedule/")]
    answer = jsonify(hours=feed.open_hours(first, last, schedules))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _bad(text: str) -> Response:
    answer = jsonify(error=text)
    answer.status_code = 400
    return answer


@bp.get("/list")
def day_list(slug: str) -> ResponseReturnValue:
    """A day as a list: for browsers without script, and for paper."""
    day = day_at(request.args.get("date"))
    known = calendars()
    who = known.column(request.args.get("who", ""))
    actors = [who.id, *who.also] if who else []
    found = feed.visits(day, day + timedelta(days=1), actors, cancelled=True)
    rows = [{**each, "who": _names(known, each["actors"])} for each in sorted(found, key=lambda each: each["start"])]
    return page.page(
        "agenda/list.html",
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        rows=rows,
        columns=known.columns,
        who=who.id if who else "",
        services=known.services,
        words=status_words,
    )


def _names(known: Calendars, actors: list[str]) -> str:
    return ", ".join(each.title for each in known.columns if set(actors) & {each.id, *each.also})
