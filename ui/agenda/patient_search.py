"""Patients by what is typed so far: the beginnings of names, a phone number, an identifier."""

from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.routes import bp, typed
from ui.fhir import Resource
from ui.patient_search import conditions

_MOST = 8


@bp.post("/patients")
def patients(slug: str) -> ResponseReturnValue:
    """Those who may be meant, to choose one."""
    return page.part("agenda/_patients.html", found=patients_like(typed("q")), q=typed("q"), chosen="")


def patients_like(text: str) -> list[Resource]:
    """The first patients of whom every word is the beginning of something; [] for next to nothing."""
    query = list(conditions(text))
    if not query:
        return []
    more = [("_count", str(_MOST)), ("_elements", "name,birthDate,gender,telecom"), ("active:not", "false")]
    return fhir.search("Patient", [*query, *more]).resources
