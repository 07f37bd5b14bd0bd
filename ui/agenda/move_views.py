"""Moving a visit: by dragging it, or by a form that does the same; and taking that back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from ui import fhir, formats, page
from ui.agenda.calendars import Calendars, calendars
from ui.agenda.clock import BadTime, day_at, moment_at, wall
from ui.agenda.feed import people
from ui.agenda.free_times import FreeTime, free_times, proposals
from ui.agenda.routes import bp, done, home, sheet, typed
from ui.agenda.task_views import finish_task
from ui.agenda.visits import patient_name, references, version
from ui.fhir import Refused, Resource
from ui.texts import say

_LONGEST = 24 * 60
_HANDLED = (400, 409, 412, 422)


@dataclass(slots=True)
class Standing:
    """A visit as it stands: its Appointment, and the Schedules it takes, the main one first."""

    appointment: Resource
    schedules: list[str]

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return _minutes(self.appointment)


def standing(visit_id: str) -> Standing:
    """The visit with the Schedules of its Slots. Raises `Refused` (404)."""
    found = fhir.search("Appointment", {"_id": visit_id, "_include": "Appointment:slot"})
    if not found.resources or "start" not in found.resources[0]:
        raise Refused(404, {})
    slots = found.by_reference
    names = ["/".join(each["reference"].split("/")[-2:]) for each in found.resources[0].get("slot", ())]
    schedules = [slots[name]["schedule"]["reference"] for name in names if name in slots]
    return Standing(found.resources[0], list(dict.fromkeys("/".join(each.split("/")[-2:]) for each in schedules)))


# -- by dragging -------------------------------------------------------------------------------------------------------


@bp.post("/visit/<visit_id>/drag")
def drag(slug: str, visit_id: str) -> Response:
    """Form: `start` and `end` on the clinic's wall, `from` and `to` Schedules where it changed columns, `version`.

    JSON: `text` to say and `undo`, where a POST takes it back; or with 409, 412 or 422 why not, and `form`: HTML with
    other free times.
    """
    before = standing(visit_id)
    wanted: tuple[datetime, int] | None = None
    try:
        start, end = moment_at(typed("start")), moment_at(typed("end"))
        wanted = start, int((end - start).total_seconds()) // 60
        if not 0 < wanted[1] <= _LONGEST:
            raise BadTime(say("A visit takes up to 24 hours."))
        after = _move(before, start, wanted[1], _place(before, typed("from"), typed("to")), typed("version"))
    except BadTime as wrong:
        return _refused(visit_id, before, 422, wrong.text, wanted)
    except Refused as error:
        if error.status not in _HANDLED:
            raise
        return _refused(visit_id, before, error.status, page.sentence(error), wanted, error)
    return jsonify(text=_said(before, after), undo=_undo(slug, before, after), version=version(after))


def _refused(
    visit_id: str,
    before: Standing,
    status: int,
    text: str,
    wanted: tuple[datetime, int] | None,
    error: Refused | None = None,
) -> Response:
    form = ""
    if status != 412:
        shown = page.part("agenda/_move.html", **_form(visit_id, before, text, wanted=wanted, refusal=error))
        form = shown.get_data(as_text=True)
    answer = jsonify(text=text, form=form)
    answer.status_code = status
    return answer


def _place(before: Standing, origin: str, target: str) -> dict[str, Any]:
    """The parameters of $reschedule that put the visit from one Schedule onto another."""
    if not target.startswith("Schedule/") or target in before.schedules:
        return {}
    rooms = before.schedules[1:]
    if origin in rooms:
        return {"resource": [fhir.reference(target if each == origin else each) for each in rooms]}
    return {"schedule": fhir.reference(target)}


def _move(before: Standing, start: datetime, minutes: int, place: dict[str, Any], if_match: str) -> Resource:
    parameters: dict[str, Any] = {"start": start, **place}
    if minutes != before.minutes:
        parameters["minutes"] = minutes
    path = f"Appointment/{before.appointment['id']}/$reschedule"
    bundle = fhir.call(path, parameters, if_match=if_match or None)
    found: Resource = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Appointment")
    return found


def _said(before: Standing, after: Resource) -> str:
    if after["start"] == before.appointment["start"] and _minutes(after) != before.minutes:
        return say("The visit takes %(minutes)s minutes now.", minutes=_minutes(after))
    return say("Moved to %(time)s.", time=formats.moment(after["start"]))


def _undo(slug: str, before: Standing, after: Resource) -> str:
    """Where a POST brings the visit back to where it was, unless somebody has changed it since."""
    query = [
        ("start", before.appointment["start"]),
        ("minutes", str(before.minutes)),
        ("version", version(after)),
        *(("schedule", each) for each in before.schedules),
    ]
    return f"/t/{slug}/ui/agenda/visit/{after['id']}/back?{urlencode(query)}"


@bp.post("/visit/<visit_id>/back")
def back(slug: str, visit_id: str) -> ResponseReturnValue:
    """Undo: the visit goes back to where it was."""
    now = standing(visit_id)
    schedules = [each for each in request.args.getlist("schedule") if each.startswith("Schedule/")]
    place: dict[str, Any] = {}
    if schedules and schedules[:1] != now.schedules[:1]:
        place["schedule"] = fhir.reference(schedules[0])
    if schedules[1:] != now.schedules[1:] and schedules[1:]:
        place["resource"] = [fhir.reference(each) for each in schedules[1:]]
    try:
        start = datetime.fromisoformat(request.args.get("start", ""))
        minutes = int(request.args.get("minutes", ""))
        if start.tzinfo is None:
            raise ValueError
    except ValueError:
        return page.problem(400, "refused")
    _move(now, start, minutes, place, request.args.get("version", ""))
    return done(say("The visit is back where it was."))


# -- by the form -------------------------------------------------------------------------------------------------------


@bp.get("/visit/<visit_id>/move")
def move_form(slug: str, visit_id: str) -> ResponseReturnValue:
    """Where the visit could go: free times to choose from, or any day, time, length and column."""
    return sheet("_move.html", **_form(visit_id, standing(visit_id), who=request.args.get("who", "")))


@bp.post("/visit/<visit_id>/move")
def move(slug: str, visit_id: str) -> ResponseReturnValue:
    """Move it to a free time that was chosen (`free`: start, Schedule), or to what was typed."""
    before = standing(visit_id)
    wanted: tuple[datetime, int] | None = None
    free, _, schedule = typed("free").partition("|")
    try:
        start = moment_at(free or f"{typed('date')}T{typed('time')}")
        minutes = before.minutes if free else _length(before)
        wanted = start, minutes
        place = _place(before, before.schedules[0] if before.schedules else "", schedule or typed("schedule"))
        after = _move(before, start, minutes, place, typed("version"))
    except BadTime as wrong:
        return sheet("_move.html", status=422, **_form(visit_id, before, wrong.text, wanted=wanted))
    except Refused as error:
        if error.status not in _HANDLED:
            raise
        before = standing(visit_id)
        shown = _form(visit_id, before, page.sentence(error), wanted=wanted, refusal=error)
        return sheet("_move.html", status=error.status, **shown)
    if typed("task"):
        finish_task(typed("task"))
    return done(_said(before, after), undo=_undo(slug, before, after), back=home(date=wall(after["start"])[:10]))


def _length(before: Standing) -> int:
    text = typed("minutes")
    if not text:
        return before.minutes
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _LONGEST):
        raise BadTime(say("A visit takes up to 24 hours."))
    return int(text)


def _form(
    visit_id: str,
    before: Standing,
    error: str = "",
    *,
    wanted: tuple[datetime, int] | None = None,
    who: str = "",
    refusal: Refused | None = None,
) -> dict[str, Any]:
    """What the form of moving shows. `wanted`: what was asked for in vain, with the `refusal` that has proposals."""
    known = calendars()
    appointment = before.appointment
    tried, now = typed("schedule") or typed("to"), (before.schedules or [""])[0]
    column = known.column(who) or known.of_schedule(tried) or known.of_schedule(now)
    service = next(iter(references(appointment, "HealthcareService")), "")
    start = wanted[0].isoformat() if wanted else appointment["start"]
    free = proposals(known, refusal.contained) if refusal else []
    return {
        "id": visit_id,
        "version": version(appointment),
        "error": error,
        "start": wall(start),
        "minutes": wanted[1] if wanted else before.minutes,
        "now": appointment["start"],
        "name": _name(appointment),
        "column": column.id if column else "",
        "choices": _choices(known, service),
        "schedule": column.schedule_for(service) if column else "",
        "free": free or _free(known, service, column.id if column else "", wall(start)),
        "task": request.values.get("task", ""),
    }


def _free(known: Calendars, service: str, column: str, start: str) -> list[FreeTime]:
    return free_times(known, known.offered.get(service), column, max(day_at(start[:10]), page.today()))


def _choices(known: Calendars, service: str) -> list[tuple[str, str]]:
    """Schedules with the names of those whose they are: of people who offer the service, else of everybody."""
    able = [each for each in known.columns if service in each.services]
    return [(each.schedule_for(service), each.title) for each in able or known.people()]


def _name(appointment: Resource) -> str:
    return patient_name(appointment, people(references(appointment, "Patient")))


def _minutes(appointment: Resource) -> int:
    start = appointment["start"]
    end = appointment.get("end") or start
    return int((formats.moment_of(end) - formats.moment_of(start)).total_seconds()) // 60
