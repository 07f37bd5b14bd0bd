"""Absences: what would become of the visits, shown first; then entered; and taken back."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.calendars import Calendars, calendars
from ui.agenda.clock import BadTime, day_at, moment_at
from ui.agenda.feed import people
from ui.agenda.routes import bp, done, home, sheet, typed
from ui.agenda.visits import patient_name, references
from ui.fhir import Refused, Resource
from ui.texts import say

_FIELDS = ("who", "from_date", "from_time", "to_date", "to_time", "reason", "substitute")
_HANDLED = (400, 403, 409, 422, 503)
# What becomes of a visit: in words, and the colour of its tag.
RESULTS: Mapping[str, tuple[str, str]] = {
    "would-move": ("The substitute takes it over", "success"),
    "moved": ("The substitute takes it over", "success"),
    "substitute-busy": ("The substitute is not free", "warning"),
    "to-reschedule": ("A new time has to be found", "warning"),
}


@bp.get("/absence")
def absence_form(slug: str) -> ResponseReturnValue:
    """The empty form."""
    day = day_at(request.args.get("date")).isoformat()
    values = {"who": request.args.get("who", ""), "from_date": day, "to_date": day}
    return _shown(calendars(), {name: values.get(name, "") for name in _FIELDS}, {})


def _shown(
    known: Calendars,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    error: str = "",
    status: int = 200,
    impacts: list[dict[str, Any]] | None = None,
) -> ResponseReturnValue:
    return sheet(
        "_absence.html",
        status=status,
        values=values,
        errors=errors,
        error=error,
        people=[(each.id, each.title) for each in known.people()],
        impacts=impacts,
    )


@bp.post("/absence")
def absence(slug: str) -> ResponseReturnValue:
    """With `step` preview: what would become of each visit; else the absence is entered."""
    known = calendars()
    values = {name: typed(name, 500) for name in _FIELDS}
    errors: dict[str, str] = {}
    period = _period(values, errors)
    if known.column(values["who"]) not in known.people():
        errors["who"] = say("Choose who is absent.")
    if errors or period is None:
        return _shown(known, values, errors, error=say("Please check what is marked."), status=422)
    preview = request.form.get("step") == "preview"
    try:
        bundle = fhir.call(f"{values['who']}/$absence", _parameters(values, period, preview=preview))
    except Refused as error:
        if error.status not in _HANDLED:
            raise
        return _shown(known, values, {}, error=_sentence(error), status=error.status)
    if preview:
        return _shown(known, values, {}, impacts=_impacts(bundle))
    undo = f"/t/{slug}/ui/agenda/absence/end?{urlencode({'who': values['who'], **period})}"
    return done(say("The absence is entered."), undo=undo, back=home(date=values["from_date"]))


@bp.post("/absence/end")
def end_absence(slug: str) -> ResponseReturnValue:
    """Take an absence back, or end it early; visits that were moved stay where they are."""
    given = request.form if request.form.get("who") else request.args
    who, start, end = (given.get(name, "") for name in ("who", "start", "end"))
    if not who.startswith("Practitioner/"):
        return page.problem(400, "refused")
    fhir.call(f"{who}/$end-absence", {"period": {"valuePeriod": {"start": start, "end": end}}})
    return done(say("The absence is taken back. Visits that were moved stay where they are."))


def _period(values: Mapping[str, str], errors: dict[str, str]) -> dict[str, str] | None:
    """Start and end with the clinic's offset; without times the days are meant whole."""
    found = {}
    for name, field in (("start", "from"), ("end", "to")):
        day, time = values[f"{field}_date"], values[f"{field}_time"]
        try:
            moment = moment_at(f"{day}T{time or '00:00'}")
        except BadTime as wrong:
            errors[f"{field}_date"] = wrong.text
            continue
        found[name] = moment.isoformat(timespec="seconds") if time else day
    if len(found) == 2 and found["end"] < found["start"][: len(found["end"])]:
        errors["to_date"] = say("The end is before the start.")
    return None if errors else found


def _parameters(values: Mapping[str, str], period: Mapping[str, str], *, preview: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"period": {"valuePeriod": dict(period)}, "dry-run": preview}
    if values["reason"]:
        found["reason"] = values["reason"]
    if values["substitute"]:
        found["substitute"] = fhir.reference(values["substitute"])
    return found


def _impacts(bundle: Resource) -> list[dict[str, Any]]:
    entries = [each["resource"] for each in bundle.get("entry", ())]
    visits = [each for each in entries if each["resourceType"] == "Appointment"]
    outcome: Resource = next((each for each in entries if each["resourceType"] == "OperationOutcome"), {})
    results = {}
    for issue in outcome.get("issue", ()):
        code = next((each["code"] for each in issue.get("details", {}).get("coding", ())), "")
        for path in issue.get("expression", ()):
            results[path] = code
    known = people(name for each in visits for name in references(each, "Patient"))
    rows = []
    for at, each in enumerate(visits):
        text, colour = RESULTS.get(results.get(f"Bundle.entry[{at}].resource", ""), RESULTS["to-reschedule"])
        rows.append({"id": each["id"], "start": each["start"], "name": patient_name(each, known),
                     "text": say(text), "colour": colour})  # fmt: skip
    return rows


def _sentence(error: Refused) -> str:
    if error.status == 422 and error.expression == "http.substitute":
        return say("Nobody substitutes for themselves.")
    if error.status == 422 and error.expression == "http.period":
        return say("The absence is over already.")
    if error.status == 422 and error.expression == "Schedule.actor":
        return say("There is no agenda of this person to block.")
    return page.sentence(error)
