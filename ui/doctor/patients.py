"""Finding a patient who is not in the queue, just as the reception does."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.doctor.entry import bp
from ui.patient_search import conditions

_MOST, _LONGEST = 12, 100


@bp.get("/patients")
def patients(slug: str) -> ResponseReturnValue:
    """A page to search on."""
    return page.page("doctor/patients.html", typed="", found=[], asked=False)


@bp.post("/patients")
def search(slug: str) -> ResponseReturnValue:
    """Who is meant. By POST: names do not belong into addresses."""
    typed = " ".join(request.form.get("q", "").split())[:_LONGEST]
    asked = list(conditions(typed))
    found = fhir.search("Patient", [*asked, ("_count", _MOST)]).resources if asked else []
    values: dict[str, Any] = {"typed": typed, "found": found, "asked": bool(asked)}
    if page.is_htmx():
        return page.part("doctor/_patients.html", **values)
    return page.page("doctor/patients.html", **values)
