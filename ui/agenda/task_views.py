"""Visits for which a new time has to be found: the Tasks that an absence leaves."""

from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.agenda.calendars import calendars
from ui.agenda.feed import people
from ui.agenda.routes import bp, sheet
from ui.agenda.visits import patient_name, phone_of, references, service_name, status_of, status_words
from ui.fhir import Refused, Resource
from ui.texts import say

_CODE = "urn:salam:CodeSystem:task-kind|reschedule-appointment"
_UNDONE = "draft,requested,received,accepted,ready,in-progress,on-hold"
OPEN_TASKS = ("Task", {"code": _CODE, "status": _UNDONE, "_summary": "count"})
_MOST = 100


@bp.get("/to-move")
def to_move(slug: str) -> ResponseReturnValue:
    """The list to work off, the next visit first."""
    query = {"code": _CODE, "status": _UNDONE, "_include": ["Task:focus", "Task:patient"], "_count": _MOST}
    found = fhir.search("Task", query)
    known = calendars()
    by_name = found.by_reference
    patients = {**people(_patients(found.of("Appointment")), "name,telecom"), **by_name}
    rows = []
    for task in found.resources:
        visit = by_name.get("/".join(task.get("focus", {}).get("reference", "").split("/")[-2:]))
        if visit is None or "start" not in visit:
            continue
        who = [each.title for each in known.people() if {each.id, *each.also} & set(references(visit))]
        rows.append({"task": task["id"], "visit": visit["id"], "start": visit["start"], "who": who,
                     "phone": phone_of(visit, patients),
                     "name": patient_name(visit, patients), "service": service_name(visit, known.services),
                     "urgent": task.get("priority") in ("urgent", "asap", "stat"),
                     "words": status_words(status_of(visit))})  # fmt: skip
    return sheet("_to_move.html", rows=sorted(rows, key=lambda each: str(each["start"])))


def _patients(visits: list[Resource]) -> list[str]:
    return [name for each in visits for name in references(each, "Patient")]


@bp.post("/to-move/<task_id>/done")
def settle(slug: str, task_id: str) -> ResponseReturnValue:
    """Take a visit off the list without moving it here: it was settled otherwise."""
    finish_task(task_id)
    answer = to_move(slug)
    if not page.is_htmx():
        return page.see_other(f"/t/{slug}/ui/agenda/to-move")
    undo = f"/t/{slug}/ui/agenda/to-move/{task_id}/again"
    page.toast(answer, say("Taken off the list."), undo=undo)  # type: ignore[arg-type]
    return page.trigger(answer, "agenda:changed")  # type: ignore[arg-type]


@bp.post("/to-move/<task_id>/again")
def again(slug: str, task_id: str) -> ResponseReturnValue:
    """Undo: the visit is on the list again."""
    _set_status(task_id, "requested")
    answer = page.toast(page.part("agenda/_nothing.html"), say("It is on the list again."))
    return page.trigger(answer, "agenda:changed")


def finish_task(task_id: str) -> None:
    """Say that what a Task asks for is done; a Task that is gone is no longer in the way."""
    try:
        _set_status(task_id, "completed")
    except Refused as error:
        if error.status not in (404, 410):
            raise


def _set_status(task_id: str, status: str) -> None:
    fhir.patch(f"Task/{task_id}", [{"op": "replace", "path": "/status", "value": status}])
