"""Hours: when whose time can be booked, and which visits do not fit any more after a change."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.fhir import Refused
from ui.formats import person
from ui.manage import hours_form, parts, saving
from ui.manage.hours_form import Week
from ui.manage.parts import Problems
from ui.manage.place import bp
from ui.page import page, part, see_other, zone
from ui.texts import say


@bp.get("/hours/")
def schedules(slug: str) -> ResponseReturnValue:
    """Every active Schedule with its week."""
    found = fhir.search("Schedule", {"active": "true", "_include": "Schedule:actor", "_count": 200})
    rows = [
        {"id": each["id"], "name": name_of(each, found.by_reference), "week": hours_form.shown(each, zone_of(each)),
         "person": _actor(each).startswith("Practitioner")}
        for each in found.resources
    ]  # fmt: skip
    rows.sort(key=lambda row: (not row["person"], str(row["name"]).casefold()))
    return page("manage/schedules.html", rows=rows, days=hours_form.DAYS)


@bp.get("/hours/<schedule_id>")
def hours(slug: str, schedule_id: str) -> ResponseReturnValue:
    """The hours of a Schedule."""
    schedule = fhir.read(f"Schedule/{schedule_id}")
    return _form(schedule, hours_form.shown(schedule, zone_of(schedule)), Problems())


@bp.post("/hours/<schedule_id>")
def save_hours(slug: str, schedule_id: str) -> ResponseReturnValue:
    """Stores the hours, and shows which visits lie outside of them then."""
    schedule = fhir.read(f"Schedule/{schedule_id}")
    before, week, problems = hours_form.shown(schedule, zone_of(schedule)), hours_form.typed(request.form), Problems()
    hours_form.check(week, before, problems)
    if problems:
        return _form(schedule, week, problems)
    version = request.form.get("version", "")
    if version != schedule["meta"]["versionId"]:
        return _form(schedule, week, problems, overtaken=True)
    hours_form.apply(schedule, week, zone_of(schedule))
    try:
        fhir.update(schedule, if_match=version)
    except Refused as error:
        if error.status == 412:
            return _form(fhir.read(f"Schedule/{schedule_id}"), week, problems, overtaken=True)
        return _form(schedule, week, problems, saving.note(error, problems, schedule))
    return see_other(f"/t/{slug}/ui/manage/hours/{schedule_id}?saved=1#impacted")


@bp.get("/hours/<schedule_id>/impacted")
def impacted(slug: str, schedule_id: str) -> ResponseReturnValue:
    """The visits to come that lie outside the hours as they are now."""
    try:
        found = fhir.search(f"Schedule/{schedule_id}/$impacted", {})
    except Refused as error:
        return part("manage/_impacted.html", visits=[], total=0, why=error.text, patient_of=_patient)
    return part(
        "manage/_impacted.html", visits=found.resources[:100], total=len(found.resources), why="", patient_of=_patient
    )


def name_of(schedule: dict[str, Any], known: dict[str, dict[str, Any]]) -> str:
    """Whose time it is."""
    actor = known.get(_actor(schedule), {})
    held = actor.get("name")
    named = person(held) if isinstance(held, list) else str(held or "")
    return named or next((str(each.get("display", "")) for each in schedule.get("actor", ())), "") or schedule["id"]


def zone_of(schedule: dict[str, Any]) -> ZoneInfo:
    """The zone by whose clock the hours are said."""
    said = parts.parts_of(hours_form.parameters_of(schedule), "timezone")
    try:
        return ZoneInfo(str(parts.value_of(said[0]))) if said else zone()
    except (ZoneInfoNotFoundError, ValueError):
        return zone()


def _actor(schedule: dict[str, Any]) -> str:
    return next((str(each.get("reference", "")) for each in schedule.get("actor", ())), "")


def _patient(appointment: dict[str, Any]) -> str:
    for each in appointment.get("participant", ()):
        actor = each.get("actor", {})
        if str(actor.get("reference", "")).startswith("Patient/"):
            return str(actor.get("display") or actor["reference"])
    return say("Nobody")


def _form(
    schedule: dict[str, Any],
    week: Week,
    problems: Problems,
    refusal: tuple[str, str] | None = None,
    overtaken: bool = False,
) -> Response:
    actor = _actor(schedule)
    known: dict[str, dict[str, Any]] = {}
    if actor:
        found = fhir.gather([actor])[0]
        known = {} if isinstance(found, Refused) else {actor: found}
    return page(
        "manage/hours.html",
        status=422 if problems or refusal else 409 if overtaken else 200,
        schedule=schedule,
        week=week,
        problems=problems.by_field,
        refusal=refusal,
        overtaken=overtaken,
        stored=hours_form.shown(schedule, zone_of(schedule)),
        title=name_of(schedule, known),
        days=hours_form.DAYS,
        seasonal=hours_form.seasonal(schedule),
        own=any(week.days.values()) or bool(hours_form.seasonal(schedule)),
        place=str(zone_of(schedule)),
        saved="saved" in request.args,
    )
