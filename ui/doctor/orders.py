"""Orders: ServiceRequests for the laboratory, imaging and referrals, several at once."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor import terms
from ui.doctor.chart import Chart
from ui.doctor.concepts import LOINC, SNOMED, Resource, coding, concept, has_code, refers, target, version, worded
from ui.doctor.entry import bp, here, is_id, professional, signer
from ui.doctor.record import Place, done, form, of_patient, place, refreshed, work
from ui.doctor.usual_orders import USUAL
from ui.texts import ngettext, say

# SNOMED CT, as in the examples of R4's value set servicerequest-category.
CATEGORIES = {
    "laboratory": ("Laboratory", "108252007", "Laboratory procedure"),
    "imaging": ("Imaging", "363679005", "Imaging"),
    "referral": ("Referral", "3457005", "Patient referral"),
}
PRIORITIES = {"routine": "Routine", "urgent": "Urgent", "asap": "As soon as possible", "stat": "Immediately"}
STATUSES = {
    "draft": "Draft",
    "active": "Ordered",
    "on-hold": "On hold",
    "revoked": "Cancelled",
    "completed": "Done",
    "unknown": "Unknown",
}
_MOST, _LONGEST, _FAVOURITES = 30, 500, 12


@form("orders")
def values(where: Place, chart: Chart | None) -> dict[str, Any]:
    """The empty form with favourites: first what the doctor orders most, then what practices usually do."""
    if chart is not None:
        requests = [each["order"] for each in chart.orders]
        problems = chart.problems
    else:
        asked = [
            ("ServiceRequest", {"patient": f"Patient/{where.patient_id}", "_count": 30, "_sort": "-authored"}),
            ("Condition", {"patient": f"Patient/{where.patient_id}", "clinical-status": "active", "_count": 50}),
        ]
        orders, conditions = fhir.gather(asked)
        requests, problems = orders.resources, conditions.resources
    return {
        "typed": {},
        "wrong": {},
        "chosen": [],
        "categories": CATEGORIES,
        "priorities": PRIORITIES,
        "statuses": STATUSES,
        "favourites": _favourites(),
        "of_visit": [each for each in requests if _of_visit(each, where)],
        "problems": problems,
        "terms": terms.suggest("order", ""),
    }


@bp.post("/patient/<patient_id>/orders")
def add_orders(slug: str, patient_id: str) -> ResponseReturnValue:
    """Order everything that was ticked or written, in one."""
    where = place(patient_id)
    typed = {
        name: " ".join(request.form.get(name, "").split())
        for name in ("other", "other_kind", "priority", "reason", "problem", "note")
    }
    chosen = request.form.getlist("order")[:_MOST]
    wanted = _wanted(chosen, typed)
    wrong = _wrong(typed, wanted)
    if wrong:
        return work(where, "orders", status=422, typed=typed, wrong=wrong, chosen=chosen)
    shared = _shared(where, typed)
    entries = [
        {
            "resource": {**shared, "category": [_category(kind)], "code": code},
            "request": {"method": "POST", "url": "ServiceRequest"},
        }
        for kind, code in wanted
    ]
    stored = fhir.transaction(entries)["entry"]
    ids = ",".join(each["response"]["location"].partition("ServiceRequest/")[2].partition("/")[0] for each in stored)
    text = ngettext("%(count)s order was sent.", "%(count)s orders were sent.", len(entries))
    return done(
        where, "orders", text, undo=here(f"patient/{patient_id}/orders/revoke?visit={where.visit_id}&ids={ids}")
    )


@bp.post("/patient/<patient_id>/orders/<action>")
def change_orders(slug: str, patient_id: str, action: str) -> ResponseReturnValue:
    """Cancel orders (`ids`), or take the cancelling back."""
    if action not in ("revoke", "restore"):
        raise NotFound("There is no such page.")
    where = place(patient_id)
    ids = [each for each in request.values.get("ids", "").split(",")[:_MOST] if is_id(each)]
    status, before = ("revoked", "active") if action == "revoke" else ("active", "revoked")
    entries = []
    for each in fhir.gather([f"ServiceRequest/{id_}" for id_ in ids]) if ids else []:
        if not isinstance(each, dict):
            raise NotFound("There is no such page.")
        of_patient(where, each)
        if each["status"] == before:
            url = f"ServiceRequest/{each['id']}"
            entry = {"method": "PUT", "url": url, "ifMatch": f'W/"{version(each)}"'}
            entries.append({"resource": {**each, "status": status}, "request": entry})
    if entries:
        fhir.transaction(entries)
    text = say("Cancelled.") if action == "revoke" else say("Ordered again.")
    other = "restore" if action == "revoke" else "revoke"
    undo = here(f"patient/{patient_id}/orders/{other}?visit={where.visit_id}&ids={','.join(ids)}")
    return refreshed(text, undo=undo, where=where, name="orders")


def _wanted(chosen: list[str], typed: dict[str, str]) -> list[tuple[str, Resource]]:
    """Category and code of each order: `laboratory|58410-2|text` of a tick, or what was written."""
    found = []
    for each in chosen:
        kind, _, rest = each.partition("|")
        code, _, text = rest.partition("|")
        if kind in CATEGORIES and text and len(text) <= _LONGEST:
            found.append((kind, worded(text, [coding(LOINC, code)] if code else [])))
    if typed["other"]:
        kind = typed["other_kind"] if typed["other_kind"] in CATEGORIES else "laboratory"
        found.append((kind, worded(typed["other"], terms.codings_for("order", typed["other"]))))
    return found


def _wrong(typed: dict[str, str], wanted: list[tuple[str, Resource]]) -> dict[str, str]:
    wrong = {}
    if not wanted:
        wrong["other"] = say("Tick what is to be done, or write it.")
    for name in ("other", "reason", "note"):
        if len(typed[name]) > _LONGEST:
            wrong[name] = say("This is too long.")
    for name, table in (("other_kind", CATEGORIES), ("priority", PRIORITIES)):
        if typed[name] and typed[name] not in table:
            wrong[name] = say("Choose one of the list.")
    return wrong


def _shared(where: Place, typed: dict[str, str]) -> Resource:
    shared: Resource = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "priority": typed["priority"] or "routine",
        **where.about(),
        "authoredOn": page.now().astimezone(page.zone()).isoformat(timespec="seconds"),
    }
    if professional():
        shared["requester"] = signer()
    if typed["reason"]:
        shared["reasonCode"] = [{"text": typed["reason"]}]
    if is_id(typed["problem"]):
        of_patient(where, fhir.read(f"Condition/{typed['problem']}"))
        shared["reasonReference"] = [refers(f"Condition/{typed['problem']}")]
    if typed["note"]:
        shared["note"] = [{"text": typed["note"]}]
    return shared


def _category(kind: str) -> Resource:
    _, code, display = CATEGORIES[kind]
    return concept(SNOMED, code, display)


def category_of(order: Resource) -> str:
    """Which of the three kinds an order is; "" for others."""
    for name, (_, code, _) in CATEGORIES.items():
        if any(has_code(each, code) for each in order.get("category", ())):
            return name
    return ""


def _favourites() -> dict[str, list[dict[str, str]]]:
    """By category, what is offered to be ticked: value and words."""
    own: dict[str, list[Resource]] = {name: [] for name in CATEGORIES}
    if professional():
        asked = {"requester": professional(), "_sort": "-authored", "_count": 100, "_elements": "code,category"}
        for each in fhir.search("ServiceRequest", asked).resources:
            kind = category_of(each)
            if kind:
                own[kind].append(each.get("code", {}))
    found: dict[str, list[dict[str, str]]] = {}
    for kind, usual in USUAL.items():
        rows: list[dict[str, str]] = []
        seen: set[str] = set()
        mine = [
            (each.text, next((c["code"] for c in each.codings if c.get("system") == LOINC), ""))
            for each in terms.counted(own[kind])
        ]
        for text, code in [*mine, *((say(text), code) for text, code in usual)]:
            if (code or text.casefold()) not in seen and len(rows) < _FAVOURITES:
                seen.add(code or text.casefold())
                rows.append({"value": f"{kind}|{code}|{text}", "text": text})
        found[kind] = rows
    return found


def _of_visit(order: Resource, where: Place) -> bool:
    if order.get("status") == "entered-in-error":
        return False
    return not where.visit_id or target(order.get("encounter")) == f"Encounter/{where.visit_id}"
