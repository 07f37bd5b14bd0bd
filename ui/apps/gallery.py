"""Which apps there are: to open on a patient (doctor, nurse), to connect (patient, proxy), to look after (owner)."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.page import may, me, page, part
from ui.patient_search import conditions
from ui.registered_apps import BUNDLED, App, apps
from ui.room import room

bp = room("apps", roles=("practitioner", "nurse", "patient", "proxy", "manager", "owner"))

_SHOWN = 8
_LONGEST = 100


@bp.get("/")
def gallery(slug: str) -> ResponseReturnValue:
    """The apps, for what the person's role does with them."""
    known, role = apps(), me().user.role
    if role in ("patient", "proxy"):
        return page("apps/connect.html", mine=_connected(known), others=_to_connect(known))
    if role in ("manager", "owner"):
        missing = all(each.id != BUNDLED for each in known)
        return page("apps/registered.html", known=known, missing=missing, may_change=may("clients"))
    to_open = [each for each in known if each.from_record or (each.alone and each.website)]
    return page("apps/open.html", known=to_open, **_chosen())


@bp.get("/patients")
def patients(slug: str) -> ResponseReturnValue:
    """The patients that a text finds, as a fragment."""
    return part("apps/_patients.html", **_searched())


def _connected(known: list[App]) -> list[App]:
    return [each for each in known if each.connected]


def _to_connect(known: list[App]) -> list[App]:
    return [each for each in known if each.alone and each.kind != "service" and not each.connected]


def _chosen() -> dict[str, Any]:
    """The patient on whom an app is to be opened, if one is chosen; else those whom a search found."""
    patient, encounter = request.args.get("patient", ""), request.args.get("encounter", "")
    if not patient:
        return {"patient": None, "encounter": "", **_searched()}
    return {"patient": fhir.read(f"Patient/{patient}"), "encounter": encounter, "found": [], "text": ""}


def _searched() -> dict[str, Any]:
    """Patients by what was typed; none for next to nothing."""
    text = " ".join(request.args.get("q", "").replace("\0", "").split())[:_LONGEST]
    query = list(conditions(text))
    found = fhir.search("Patient", [*query, ("_count", _SHOWN)]).resources if query else []
    return {"found": found, "text": text}
