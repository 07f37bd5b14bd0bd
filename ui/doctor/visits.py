"""Visits without a ticket: begun from the record, and ended there."""

from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor.concepts import ACT_CODE, Resource, target, version
from ui.doctor.entry import bp, here, professional, record, signer
from ui.doctor.record import place
from ui.texts import say

_OPEN = ("arrived", "triaged", "in-progress", "onleave")


@bp.post("/patient/<patient_id>/visit")
def begin_visit(slug: str, patient_id: str) -> ResponseReturnValue:
    """Begin a visit of a patient who has no ticket: a call, a visit at home, somebody who was fetched in."""
    where = place(patient_id)
    now = _now()
    visit: Resource = {
        "resourceType": "Encounter", "status": "in-progress",
        "class": {"system": ACT_CODE, "code": "AMB", "display": "ambulatory"},
        "subject": where.subject, "period": {"start": now},
    }  # fmt: skip
    if professional():
        visit["participant"] = [{"period": {"start": now}, "individual": signer()}]
    stored = fhir.create(visit)
    return page.see_other(record(patient_id, stored["id"]))


@bp.post("/patient/<patient_id>/visit/<visit_id>/finish")
def finish_visit(slug: str, patient_id: str, visit_id: str) -> ResponseReturnValue:
    """End a visit that has no ticket, and its booking with it."""
    where = place(patient_id)
    visit = fhir.read(f"Encounter/{visit_id}")
    if target(visit.get("subject")) != f"Patient/{where.patient_id}":
        raise NotFound("There is no such page.")
    if visit["status"] in _OPEN:
        entries = [_put(_finished(visit))]
        for each in visit.get("appointment", ()):
            booking = fhir.read(target(each))
            if booking["status"] in ("booked", "arrived", "checked-in"):
                entries.append(_put({**booking, "status": "fulfilled"}))
        fhir.transaction(entries)
    return page.see_other(here(f"?finished-visit={patient_id}/{visit_id}"))


@bp.post("/patient/<patient_id>/visit/<visit_id>/reopen")
def reopen_visit(slug: str, patient_id: str, visit_id: str) -> ResponseReturnValue:
    """Take the end of a visit back: it goes on."""
    where = place(patient_id)
    visit = fhir.read(f"Encounter/{visit_id}")
    if target(visit.get("subject")) != f"Patient/{where.patient_id}" or visit["status"] != "finished":
        raise NotFound("There is no such page.")
    period = {name: value for name, value in visit.get("period", {}).items() if name != "end"}
    fhir.update({**visit, "status": "in-progress", "period": period}, if_match=version(visit))
    if not page.is_htmx():
        return page.see_other(record(patient_id, visit_id))
    return page.toast(page.see_other(record(patient_id, visit_id)), say("The visit goes on."))


def _finished(visit: Resource) -> Resource:
    now = _now()
    period = visit.get("period", {})
    past = {"status": visit["status"], "period": {"start": period.get("start", now), "end": now}}
    return {**visit, "status": "finished", "period": {**period, "end": now},
            "statusHistory": [*visit.get("statusHistory", ()), past]}  # fmt: skip


def _put(resource: Resource) -> Resource:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, "ifMatch": f'W/"{version(resource)}"'}}


def _now() -> str:
    return page.now().astimezone(page.zone()).isoformat(timespec="seconds")
