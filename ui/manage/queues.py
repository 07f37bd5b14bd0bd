"""Waiting queues: their rules, and opening, pausing and closing them."""

from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.fhir import Refused
from ui.manage import queue_form, saving
from ui.manage.parts import Problems
from ui.manage.place import bp
from ui.manage.services import name_of
from ui.page import page, part, see_other, toast, zone
from ui.texts import say

_LABELS = {"name": "Name", **{each.name: each.label for each in queue_form.PARTS}}
# Action: what it is called when it was done, and the action that takes it back.
_ACTIONS = {"open": ("The queue is open.", "close"), "pause": ("The queue is paused.", "resume"),
            "resume": ("The queue goes on.", "pause"), "close": ("The queue is closed.", "open")}  # fmt: skip


@bp.get("/queues/")
def queues(slug: str) -> ResponseReturnValue:
    """Every queue with its state and how many wait."""
    return page("manage/queues.html", rows=_rows())


@bp.get("/queues/list")
def queue_list(slug: str) -> ResponseReturnValue:
    """The same list as a fragment."""
    return part("manage/_queues.html", rows=_rows())


@bp.post("/queues/<queue_id>/<action>")
def act(slug: str, queue_id: str, action: str) -> ResponseReturnValue:
    """Opens, pauses, resumes or closes a queue."""
    if action not in _ACTIONS:
        raise NotFound("There is no such page.")
    fhir.call(f"HealthcareService/{queue_id}/${action}", key=request.form.get("idempotency_key") or None)
    said, back = _ACTIONS[action]
    undo = f"/t/{slug}/ui/manage/queues/{queue_id}/{back}"
    if request.headers.get("HX-Request"):
        return toast(part("manage/_queues.html", rows=_rows()), say(said), undo=undo)
    return see_other(f"/t/{slug}/ui/manage/queues/")


@bp.get("/queues/new")
def new_queue(slug: str) -> ResponseReturnValue:
    """The empty form."""
    return _form({}, {**queue_form.shown({}), "prefix": _free_prefix()}, Problems())


@bp.post("/queues/new")
def create_queue(slug: str) -> ResponseReturnValue:
    """Stores a new queue; it is closed until it is opened."""
    said, problems = queue_form.typed(request.form), Problems()
    found = fhir.search("Organization", {"active": "true", "_count": 1, "_sort": "_lastUpdated"}).resources
    by = {"providedBy": {"reference": f"Organization/{found[0]['id']}"}} if found else {}
    resource: dict[str, Any] = {"resourceType": "HealthcareService", "active": True, "appointmentRequired": False, **by}
    queue_form.apply(resource, said, problems)
    if problems:
        return _form({}, said, problems)
    extension = resource["extension"][0]["extension"]
    if not any(each["url"] == "timezone" for each in extension):
        extension.append({"url": "timezone", "valueCode": str(zone())})
    try:
        fhir.create(resource)
    except Refused as error:
        return _form({}, said, problems, saving.note(error, problems, resource))
    return see_other(f"/t/{slug}/ui/manage/queues/?saved=1")


@bp.get("/queues/<queue_id>")
def queue(slug: str, queue_id: str) -> ResponseReturnValue:
    """The form of a queue."""
    resource = fhir.read(f"HealthcareService/{queue_id}")
    return _form(resource, queue_form.shown(resource), Problems())


@bp.post("/queues/<queue_id>")
def save_queue(slug: str, queue_id: str) -> ResponseReturnValue:
    """Stores what the form says, unless somebody else changed the queue meanwhile."""
    resource = fhir.read(f"HealthcareService/{queue_id}")
    said, problems = queue_form.typed(request.form), Problems()
    queue_form.apply(resource, said, problems)
    again = saving.store(resource, said, problems, shown=queue_form.shown, labels=_LABELS, form=_form)
    return again or see_other(f"/t/{slug}/ui/manage/queues/{queue_id}?saved=1")


def all_queues() -> list[dict[str, Any]]:
    """The queues that are in use, by name."""
    found = fhir.search("HealthcareService", {"active": "true", "_count": 200}).resources
    return sorted((each for each in found if queue_form.is_queue(each)), key=lambda each: name_of(each).casefold())


def _rows() -> list[dict[str, Any]]:
    found = all_queues()
    states = fhir.gather([f"HealthcareService/{each['id']}/$queue" for each in found]) if found else []
    rows = []
    for each, state in zip(found, states, strict=True):
        given = {} if isinstance(state, Refused) else {p["name"]: p for p in state.get("parameter", ())}
        rows.append({
            "id": each["id"], "name": name_of(each), "said": queue_form.shown(each),
            "state": given.get("state", {}).get("valueCode", "closed"),
            "waiting": given.get("waiting", {}).get("valueUnsignedInt", 0),
        })  # fmt: skip
    return rows


def _free_prefix() -> str:
    taken = {queue_form.shown(each)["prefix"] for each in all_queues()}
    return next((letter for letter in "ABCDEFGHJKLMNPRSTUVWXYZ" if letter not in taken), "A")


def _form(
    resource: dict[str, Any],
    said: dict[str, Any],
    problems: Problems,
    refusal: tuple[str, str] | None = None,
    overtaken: list[tuple[str, str]] | None = None,
) -> Response:
    found = [each for each in all_queues() if each["id"] != resource.get("id")]
    others = [(f"HealthcareService/{each['id']}", name_of(each)) for each in found]
    return page(
        "manage/queue.html",
        status=422 if problems or refusal else 409 if overtaken is not None else 200,
        resource=resource,
        said=said,
        problems=problems.by_field,
        refusal=refusal,
        overtaken=overtaken,
        form=queue_form,
        others=others,
        title=name_of(resource) if resource.get("id") else say("New queue"),
        saved="saved" in request.args,
    )
