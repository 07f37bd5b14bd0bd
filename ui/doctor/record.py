"""The page of a patient: the summary on one side, what is being written on the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor import chart as charts
from ui.doctor.break_glass import closed_record, open_until
from ui.doctor.chart import Chart
from ui.doctor.concepts import Resource, target
from ui.doctor.dosage import shown
from ui.doctor.entry import bp, here
from ui.fhir import Refused

# The forms beside the summary: name, English title, icon, key, and the right without which they are not shown.
FORMS = (
    ("note", "Note", "journal-text", "o", ("Composition", "c")),
    ("vitals", "Vital signs", "activity", "v", ("Observation", "c")),
    ("diagnosis", "Diagnosis", "clipboard2-check", "d", ("Condition", "c")),
    ("allergies", "Allergies", "exclamation-diamond", "a", ("AllergyIntolerance", "c")),
    ("orders", "Orders", "eyedropper", "x", ("ServiceRequest", "c")),
    ("prescription", "Prescription", "capsule", "p", ("MedicationRequest", "c")),
)

# Forms with a list of what was written already, which changes by itself.
_WITH_LINES = ("diagnosis", "allergies", "orders", "prescription")


@dataclass(frozen=True, slots=True)
class Place:
    """Whose record a form is about and in which visit: checked to belong together."""

    patient: Resource
    encounter: Resource | None

    @property
    def patient_id(self) -> str:
        """The id of the patient."""
        return str(self.patient["id"])

    @property
    def visit_id(self) -> str:
        """The id of the Encounter; "" outside of a visit."""
        return str(self.encounter["id"]) if self.encounter else ""

    @property
    def subject(self) -> Resource:
        """The Reference to the patient."""
        return {"reference": f"Patient/{self.patient_id}"}

    def about(self, subject: str = "subject") -> dict[str, Any]:
        """The elements that everything written here shares: the patient and the visit."""
        visit = {"encounter": {"reference": f"Encounter/{self.visit_id}"}} if self.encounter else {}
        return {subject: self.subject, **visit}


Values = Callable[[Place, Chart | None], dict[str, Any]]
_values: dict[str, Values] = {}


def form(name: str) -> Callable[[Values], Values]:
    """Register what a form shows: called with the place, and the chart where it was read anyway."""

    def register(values: Values) -> Values:
        _values[name] = values
        return values

    return register


def place(patient_id: str) -> Place:
    """The patient of a form's address and the visit of its query. Raises `Refused` 404, `NotFound` for a visit of
    somebody else."""
    visit = request.args.get("visit", "")
    patient, *rest = fhir.gather([f"Patient/{patient_id}", *([f"Encounter/{visit}"] if visit else [])])
    for each in (patient, *rest):
        if isinstance(each, Refused):
            raise each
    encounter = rest[0] if rest else None
    if encounter is not None and target(encounter.get("subject")) != f"Patient/{patient_id}":
        raise NotFound("There is no such page.")
    return Place(patient, encounter)


def of_patient(where: Place, resource: Resource, element: str = "subject") -> Resource:
    """The resource if it is about the patient of the page; else `NotFound`."""
    if target(resource.get(element)) != f"Patient/{where.patient_id}":
        raise NotFound("There is no such page.")
    return resource


@bp.get("/patient/<patient_id>")
def record(slug: str, patient_id: str) -> ResponseReturnValue:
    """The whole page; for htmx the part that it asks for: `chart` the summary, `lines` the list that stands with a
    form, else the form."""
    part = request.args.get("part", "")
    if page.is_htmx() and part != "chart":
        return _lines(place(patient_id)) if part == "lines" else work(place(patient_id))
    try:
        chart = charts.read(patient_id)
    except Refused as error:
        if error.status in (404, 410) and page.may("break-glass"):
            return closed_record(patient_id)
        raise
    where = _place_of(chart)
    if page.is_htmx():
        return page.part("doctor/_chart.html", **_shown(where, chart))
    return _whole(where, chart)


def work(where: Place, name: str = "", status: int = 200, **given: Any) -> Response:
    """A form as it is now: beside the record for htmx, else with the whole page. `given` replaces what it shows."""
    if not page.is_htmx():
        chart = charts.read(where.patient_id)
        return _whole(where, chart, name, status, **given)
    chosen = _chosen(name)
    values = {**_values[chosen](where, None), **given} if chosen else {}
    return page.part(
        "doctor/_work.html", status=status, work=chosen, forms=_forms(), place=where, form=values, dose=shown
    )


def _lines(where: Place) -> Response:
    chosen = _chosen("")
    if chosen not in _WITH_LINES:
        raise NotFound("There is no such page.")
    return page.part(
        f"doctor/_{chosen}_lines.html", place=where, work=chosen, form=_values[chosen](where, None), dose=shown
    )


def done(where: Place, name: str, text: str, *, undo: str | None = None, **given: Any) -> Response:
    """After something was written: the form anew and a message; without htmx the page anew."""
    if not page.is_htmx():
        return page.see_other(here(f"patient/{where.patient_id}?visit={where.visit_id}&work={name}"))
    response = work(where, name, **given)
    # The summary is told by the event stream, too; this is for the hand that just wrote.
    return page.toast(page.trigger(response, "salam:refresh"), text, undo=undo)


def refreshed(text: str, *, undo: str | None = None, where: Place | None = None, name: str = "") -> Response:
    """After a button in the summary: a message, and the summary anew."""
    if not page.is_htmx():
        return page.see_other(
            here(f"patient/{where.patient_id}?visit={where.visit_id}&work={name}") if where else here()
        )
    response = Response(status=200, headers={"HX-Reswap": "none"})
    return page.toast(page.trigger(response, "salam:refresh"), text, undo=undo)


def _whole(where: Place, chart: Chart, name: str = "", status: int = 200, **given: Any) -> Response:
    chosen = _chosen(name)
    values = {**_values[chosen](where, chart), **given} if chosen else {}
    values_of_page = _shown(where, chart)
    return page.page("doctor/record.html", status=status, work=chosen, forms=_forms(), form=values, **values_of_page)


def _shown(where: Place, chart: Chart) -> dict[str, Any]:
    ticket = next((each for each in chart.tickets if where.visit_id
                   and target(each.get("encounter")) == f"Encounter/{where.visit_id}"), None)  # fmt: skip
    return {
        "chart": chart,
        "dose": shown,
        "has_file": charts.has_file,
        "place": where,
        "ticket": ticket,
        "any_ticket": ticket or next(iter(chart.tickets), None),
        "open_until": open_until(where.patient_id),
    }


def _place_of(chart: Chart) -> Place:
    """The visit that the address names, else the one that is under way."""
    wanted = request.args.get("visit")
    if not wanted:
        return Place(chart.patient, chart.open_visit())
    known = next((each["encounter"] for each in chart.visits if each["encounter"]["id"] == wanted), None)
    return Place(chart.patient, known) if known else place(chart.patient_id)


def _forms() -> list[tuple[str, str, str, str]]:
    return [(name, title, icon, key) for name, title, icon, key, (kind, letter) in FORMS if page.may_do(kind, letter)]


def _chosen(name: str) -> str:
    names = [each[0] for each in _forms()]
    asked = name or request.args.get("work", "")
    return asked if asked in names else next(iter(names), "")
