"""Services: what can be booked, how long it takes, what it costs, and who offers it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.fhir import Refused
from ui.manage import offering, queue_form, saving, service_form
from ui.manage.parts import Problems
from ui.manage.place import bp
from ui.page import page, part, see_other, toast, today
from ui.texts import language, say

_LABELS = {
    "name": "Name", "comment": "What patients read about it", "modes": "How the visit takes place",
    "location": "Where", **{part.name: part.label for part in service_form.PARTS},
}  # fmt: skip


@bp.get("/services/")
def services(slug: str) -> ResponseReturnValue:
    """All services; retired ones when `retired` is asked for."""
    retired = "retired" in request.args
    found = fhir.search("HealthcareService", {"active": "false" if retired else "true", "_count": 200})
    rows = [
        {"resource": each, "said": service_form.shown(each), "name": name_of(each)}
        for each in found.resources if not queue_form.is_queue(each)
    ]  # fmt: skip
    rows.sort(key=lambda row: str(row["name"]).casefold())
    return page("manage/services.html", rows=rows, retired=retired)


def name_of(service: Mapping[str, Any]) -> str:
    """A service's name in the language of the request."""
    return service_form.translated(service, language()) or str(service.get("name", service.get("id", "")))


@bp.get("/services/new")
def new_service(slug: str) -> ResponseReturnValue:
    """The empty form."""
    blank = service_form.shown({})
    blank["modes"], blank["price-currency"] = ["on-site"], _currency()
    return _form({}, blank, Problems())


@bp.post("/services/new")
def create_service(slug: str) -> ResponseReturnValue:
    """Stores a new service."""
    said, problems = service_form.typed(request.form), Problems()
    resource = service_form.blank(_organization())
    service_form.apply(resource, said, problems)
    if problems:
        return _form({}, said, problems)
    everything = fhir.search("HealthcareService", {"_count": 500, "_elements": "type"}).resources
    taken = {str(c.get("code")) for each in everything for t in each.get("type", ()) for c in t.get("coding", ())}
    coding = {"system": service_form.TYPE, "code": service_form.code_of(said["name"], taken), "display": said["name"]}
    resource["type"] = [{"coding": [coding]}]
    try:
        made = fhir.create(resource)
    except Refused as error:
        return _form({}, said, problems, saving.note(error, problems, resource))
    return see_other(f"/t/{slug}/ui/manage/services/{made['id']}?saved=new")


@bp.get("/services/<service_id>")
def service(slug: str, service_id: str) -> ResponseReturnValue:
    """The form of a service."""
    resource = fhir.read(f"HealthcareService/{service_id}")
    return _form(resource, service_form.shown(resource), Problems())


@bp.post("/services/<service_id>")
def save_service(slug: str, service_id: str) -> ResponseReturnValue:
    """Stores what the form says, unless somebody else changed the service meanwhile."""
    resource = fhir.read(f"HealthcareService/{service_id}")
    said, problems = service_form.typed(request.form), Problems()
    service_form.apply(resource, said, problems)
    again = saving.store(resource, said, problems, shown=service_form.shown, labels=_LABELS, form=_form)
    return again or see_other(f"/t/{slug}/ui/manage/services/{service_id}?saved=1")


@bp.post("/services/<service_id>/active")
def retire_service(slug: str, service_id: str) -> ResponseReturnValue:
    """Retires a service, or with `active` brings it back. Nothing is deleted: past visits refer to it."""
    active = request.values.get("active") == "1"
    operations: list[dict[str, Any]] = [{"op": "add", "path": "/active", "value": active}]
    fhir.patch(f"HealthcareService/{service_id}", operations)
    undo = f"/t/{slug}/ui/manage/services/{service_id}/active?active={0 if active else 1}"
    said = say("The service is offered again.") if active else say("The service is retired.")
    answer = see_other(f"/t/{slug}/ui/manage/services/") if not request.headers.get("HX-Request") else Response("")
    return toast(answer, said, undo=undo)


@bp.get("/services/<service_id>/free")
def free_times(slug: str, service_id: str) -> ResponseReturnValue:
    """The next free times, as they would be offered now."""
    resource = fhir.read(f"HealthcareService/{service_id}")
    kinds = [c for each in resource.get("type", ()) for c in each.get("coding", ()) if c.get("code")]
    if not kinds:
        return part("manage/_free.html", times=[], why=say("The service has no type, so nobody can look for it."))
    code = f"{kinds[0].get('system', '')}|{kinds[0]['code']}"
    asked = {
        "start": today().isoformat(), "end": (today() + timedelta(days=30)).isoformat(), "visit-type": code,
        "_count": 8,
    }  # fmt: skip
    try:
        found = fhir.search("Appointment/$find", asked)
    except Refused as error:
        return part("manage/_free.html", times=[], why=error.text)
    return part("manage/_free.html", times=found.resources, why="" if found.resources else say("Nothing is free."))


@bp.post("/services/<service_id>/offered")
def save_offered(slug: str, service_id: str) -> ResponseReturnValue:
    """Stores by whom the service is offered."""
    offering.change(f"HealthcareService/{service_id}", set(request.form.getlist("practitioner")), _organization())
    return see_other(f"/t/{slug}/ui/manage/services/{service_id}?saved=offered#offered")


def _form(
    resource: dict[str, Any],
    said: Mapping[str, Any],
    problems: Problems,
    refusal: tuple[str, str] | None = None,
    overtaken: list[tuple[str, str]] | None = None,
) -> Response:
    locations, questionnaires = fhir.gather([
        ("Location", {"status": "active", "_count": 200}), ("Questionnaire", {"status": "active", "_count": 200}),
    ])  # fmt: skip
    service_id = str(resource.get("id", ""))
    return page(
        "manage/service.html",
        status=422 if problems or refusal else 409 if overtaken is not None else 200,
        resource=resource,
        said=said,
        problems=problems.by_field,
        refusal=refusal,
        overtaken=overtaken,
        form=service_form,
        title=name_of(resource) if service_id else say("New service"),
        locations=_places(locations),
        questionnaires=[(f"Questionnaire/{q['id']}", q.get("title") or q["id"]) for q in _of(questionnaires)],
        offered=offering.offered(f"HealthcareService/{service_id}") if service_id else [],
        saved=request.args.get("saved", ""),
    )


def _of(found: Any) -> list[dict[str, Any]]:
    return [] if isinstance(found, Refused) else list(found.resources)


def _places(found: Any) -> list[tuple[str, str]]:
    """Sites before their rooms."""
    rows = sorted(_of(found), key=lambda each: ("partOf" in each, str(each.get("name", ""))))
    return [(f"Location/{each['id']}", str(each.get("name") or each["id"])) for each in rows]


def _organization() -> str:
    found = fhir.search("Organization", {"active": "true", "_count": 1, "_sort": "_lastUpdated"}).resources
    return f"Organization/{found[0]['id']}" if found else ""


def _currency() -> str:
    """The currency of the services there are."""
    for each in fhir.search("HealthcareService", {"active": "true", "_count": 20}).resources:
        currency = service_form.shown(each)["price-currency"]
        if currency:
            return str(currency)
    return "MAD"
