"""Booking a visit from the agenda: for whom, for what, when; once or every week; beyond capacity with a reason."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.calendars import Calendars, Column, calendars
from ui.agenda.clock import BadTime, day_at, moment_at, wall
from ui.agenda.free_times import FreeTime, free_times, proposals
from ui.agenda.new_patients import new_patient, patient_errors
from ui.agenda.patient_search import patients_like
from ui.agenda.routes import bp, done, home, sheet, typed
from ui.agenda.visits import references
from ui.fhir import Refused, Resource
from ui.formats import moment
from ui.texts import ngettext, say

_TEMPLATE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.recurrenceTemplate"
_BOOKING = "urn:salam:CodeSystem:booking"
_MOST_WEEKS, _LONGEST = 52, 24 * 60
_TAKEN = ("slot-taken", "slot-held", "limit-reached", "patient-busy")
_HANDLED = (400, 403, 409, 412, 422)


@dataclass(slots=True)
class Form:
    """What stands in the form. `errors`: by field, in the person's language."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """What was typed into a field."""
        return self.values.get(name, "")


_FIELDS = ("who", "service", "date", "time", "free", "minutes", "patient", "q", "note", "weeks", "reason", "overbook",
           "given", "family", "phone", "birth", "waiting")  # fmt: skip

_GIVEN = ("who", "service", "date", "time", "minutes", "waiting", "patient")


@bp.get("/new")
def new(slug: str) -> ResponseReturnValue:
    """The empty form: at a time and with somebody if they were clicked, for a patient if one is known."""
    known = calendars()
    values = {name: request.args.get(name, "")[:100] for name in _GIVEN}
    values["who"] = values["who"] or _mine(known)
    column = known.column(values["who"])
    if not values["service"] and column and column.services:
        values["service"] = next(iter(column.services))
    values["date"] = day_at(values["date"]).isoformat()
    for earlier in (values["waiting"], request.args.get("again", "")):
        if earlier:
            _as_in(known, values, fhir.read(f"Appointment/{earlier}"))
    return _shown(known, Form(values))


def _mine(known: Calendars) -> str:
    me = page.me().user.fhir_user or ""
    own = next((each for each in known.people() if me in (each.id, *each.also)), None)
    return (own or next(iter(known.people()), None) or Column("", "")).id


def _as_in(known: Calendars, values: dict[str, str], earlier: Resource) -> None:
    """For whom and what it was before: of somebody on the wait list, or of a visit that was cancelled."""
    for name in references(earlier, "Patient")[:1]:
        values["patient"] = name.partition("/")[2]
    for name in references(earlier, "HealthcareService")[:1]:
        values["service"] = name
    people = [each for each in known.people() if each.id in references(earlier, "Practitioner")]
    able = [each for each in known.people() if values["service"] in each.services]
    if people or able:
        values["who"] = (people or able)[0].id
    if "start" in earlier:
        values["date"], values["time"] = wall(earlier["start"])[:16].split("T")


def _shown(
    known: Calendars, form: Form, *, error: str = "", status: int = 200, refusal: Refused | None = None
) -> ResponseReturnValue:
    column = known.column(form.get("who"))
    services = [(each, known.services[each]) for each in (column.services if column else known.services)]
    chosen = form.get("patient")
    found = [fhir.read(f"Patient/{chosen}")] if chosen and chosen != "new" else patients_like(form.get("q"))
    free = proposals(known, refusal.contained) if refusal else []
    minutes = form.get("minutes") or str((column.services if column else {}).get(form.get("service"), 30))
    return sheet(
        "_book.html",
        status=status,
        error=error,
        form=form,
        minutes=minutes,
        people=[(each.id, each.title) for each in known.columns],
        services=services,
        patients=found,
        free=free or _free(known, form),
        overbookable=refusal is not None and refusal.detail in _TAKEN,
    )


def _free(known: Calendars, form: Form) -> list[FreeTime]:
    day = day_at(form.get("date"))
    return free_times(known, known.offered.get(form.get("service")), form.get("who"), day)


@bp.post("/free")
def free(slug: str) -> ResponseReturnValue:
    """The services and free times that go with who and what is chosen in the form; nothing is booked."""
    return _shown(calendars(), _read())


@bp.post("/book")
def book(slug: str) -> ResponseReturnValue:
    """Book what the form says; back to the form with what is wrong, or with other free times where it is taken."""
    known, form = calendars(), _read()
    if request.form.get("step") == "look":
        return _shown(known, form)
    column = known.column(form.get("who"))
    wanted = _checked(form, column)
    if wanted is None or column is None:
        return _shown(known, form, error=say("Please check what is marked."), status=422)
    start, minutes, weeks = wanted
    try:
        booked = _booked(form, column, start, minutes, weeks)
    except Refused as error:
        if error.status not in _HANDLED:
            raise
        return _shown(known, form, error=_sentence(error), status=error.status, refusal=error)
    return done(_said(booked), back=home(date=wall(booked[0]["start"])[:10]))


def _read() -> Form:
    form = Form({name: typed(name, 1000) for name in _FIELDS})
    if form.get("free"):
        form.values["date"], _, form.values["time"] = form.get("free")[:16].partition("T")
    return form


def _checked(form: Form, column: Column | None) -> tuple[datetime, int, int] | None:
    """Start, minutes and number of weeks; None when something is wrong, which the form says then."""
    start, minutes, weeks = None, form.get("minutes"), form.get("weeks") or "1"
    try:
        start = moment_at(f"{form.get('date')}T{form.get('time')}")
    except BadTime as wrong:
        form.errors["time"] = wrong.text
    if column is None:
        form.errors["who"] = say("Choose with whom.")
    elif form.get("service") not in column.services and column.services:
        form.errors["service"] = say("Choose what for.")
    if minutes and not (minutes.isascii() and minutes.isdigit() and 0 < int(minutes) <= _LONGEST):
        form.errors["minutes"] = say("A visit takes up to 24 hours.")
    if not (weeks.isascii() and weeks.isdigit() and 0 < int(weeks) <= _MOST_WEEKS):
        form.errors["weeks"] = say("From 1 to %(most)s weeks.", most=_MOST_WEEKS)
    if form.get("overbook") and not form.get("reason"):
        form.errors["reason"] = say("Say why: it is kept with the visit.")
    if form.get("patient") == "new":
        form.errors |= patient_errors(form.values)
    elif not form.get("patient"):
        form.errors["patient"] = say("Choose the patient.")
    if form.errors or start is None or column is None:
        return None
    return start, int(minutes or column.services.get(form.get("service"), 30)), int(weeks)


def _booked(form: Form, column: Column, start: datetime, minutes: int, weeks: int) -> list[Resource]:
    """$book with the Appointment in full: the Appointments, one for every week."""
    appointment = _appointment(form, column, start, minutes)
    if weeks > 1:
        appointment["extension"] = [_weekly(weeks)]
    comment = form.get("note") or None
    if form.get("overbook"):
        appointment["meta"] = {"tag": [{"system": _BOOKING, "code": "overbooked"}]}
        comment = "\n".join(filter(None, (form.get("reason"), comment)))
    parameters: dict[str, Any] = {"appointment-resource": appointment, "comment": comment}
    if form.get("patient") == "new":
        parameters["patient-resource"] = new_patient(form.values)
    bundle = fhir.call("Appointment/$book", parameters, key=typed("idempotency_key") or None)
    found = [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Appointment"]
    if form.get("waiting"):
        fhir.call(f"Appointment/{form.get('waiting')}/$cancel", {"reason": {"valueCodeableConcept": {
            "coding": [{"system": "urn:salam:CodeSystem:cancelation", "code": "booked-from-wait-list"}]}}})  # fmt: skip
    return found


def _appointment(form: Form, column: Column, start: datetime, minutes: int) -> Resource:
    actors = [column.id, form.get("service")]
    if form.get("patient") != "new":
        actors.insert(0, f"Patient/{form.get('patient')}")
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        "start": start.isoformat(timespec="seconds"),
        "end": (start + timedelta(minutes=minutes)).isoformat(timespec="seconds"),
        "participant": [
            {"actor": {"reference": each}, "required": "required", "status": "accepted"} for each in actors if each
        ],
    }


def _weekly(weeks: int) -> Resource:
    return {
        "url": _TEMPLATE,
        "extension": [
            {"url": "recurrenceType", "valueCodeableConcept": {"coding": [{"code": "wk"}]}},
            {"url": "occurrenceCount", "valuePositiveInt": weeks},
        ],
    }


def _sentence(error: Refused) -> str:
    """What stands in the way, and that other times are shown."""
    text = page.sentence(error)
    return f"{text} {say('Other free times are below.')}" if error.contained else text


def _said(booked: list[Resource]) -> str:
    if len(booked) > 1:
        return ngettext("%(count)s visit booked.", "%(count)s visits booked.", len(booked))
    state = say("To confirm") if booked[0]["status"] == "pending" else say("Booked")
    return f"{state}: {moment(booked[0]['start'])}"
