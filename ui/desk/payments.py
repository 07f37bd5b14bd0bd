"""Taking a payment at the desk: an invoice for the visit, paid in cash or by card, and its receipt."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import uuid4

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.desk import fields, invoices, money
from ui.desk.answers import done, explained, panel
from ui.desk.entry import bp, may_see_money, may_take_money
from ui.desk.fields import Resource
from ui.desk.invoices import Line, Paid
from ui.fhir import Refused
from ui.page import me, now, page
from ui.texts import say

_MOST, _LONGEST, _BLANK = 12, 120, 2
_KEY = re.compile(r"[A-Za-z0-9-]{16,64}\Z")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


@dataclass(frozen=True, slots=True)
class Typed:
    """The form: `rows` of text and amount as typed, what they mean, and problems by field (`amount-0`)."""

    rows: list[tuple[str, str]]
    currency: str
    lines: list[Line] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


@bp.get("/payments/new")
def new_payment(slug: str) -> ResponseReturnValue:
    """What a visit costs, as the service says, ready to be taken."""
    patient_id, visit_id = request.args.get("patient", ""), request.args.get("visit", "")
    prices = _prices()
    rows, currency = [], next((each["currency"] for each in prices), "") or money.usual_currency()
    if visit_id:
        before = fhir.search("Invoice", {"identifier": f"{invoices.OF_VISIT}|{visit_id}",
                                         "status": "issued,balanced", "_count": 1})  # fmt: skip
        if before.resources:
            return _shown(before.resources[0])
        service = fields.id_in(fields.actor(fhir.read(f"Appointment/{visit_id}"), "HealthcareService"))
        rows = [(each["name"], each["typed"]) for each in prices if each["id"] == service]
    return _form(patient_id, visit_id, Typed(rows, currency), str(uuid4()))


def _form(
    patient_id: str, visit_id: str, typed: Typed, key: str, *, status: int = 200, **more: object
) -> ResponseReturnValue:
    if not may_take_money() or not _ID.match(patient_id):
        raise NotFound("There is no such page.")
    rows = [*typed.rows, *[("", "")] * max(_BLANK, 3 - len(typed.rows))][:_MOST]
    values: Resource = {
        "patient": fhir.read(f"Patient/{patient_id}"), "visit_id": visit_id, "rows": rows, "typed": typed, "key": key,
        "prices": _prices(), "places": money.places(typed.currency), "method": "cash", "tendered": "", "slip": "",
    }  # fmt: skip
    return panel("_pay.html", status=status, **{**values, **more})


def _prices() -> list[Resource]:
    """What services cost: id, name, amount as it is typed, currency."""
    elements = "name,extension,providedBy"
    found = fhir.search("HealthcareService", {"active": "true", "_count": 200, "_elements": elements})
    priced = []
    for each in found.resources:
        price = fields.part(each, "scheduling-parameters", "price")
        if price and price.get("currency"):
            typed = money.typed(money.value(price), price["currency"])
            priced.append({"id": each["id"], "name": str(each.get("name", "")), "typed": typed,
                           "currency": str(price["currency"]), "by": each.get("providedBy", {})})  # fmt: skip
    return sorted(priced, key=lambda each: each["name"])


@bp.post("/payments")
def take_payment(slug: str) -> ResponseReturnValue:
    """Issue the invoice, paid or to be paid later. The same form sent twice charges once."""
    patient_id, visit_id = request.form.get("patient", ""), request.form.get("visit", "")
    if not _ID.match(patient_id):
        raise NotFound("There is no such page.")
    key = request.form.get("key", "")
    key = key if _KEY.match(key) else str(uuid4())
    typed = _typed()
    later = request.form.get("method") == "later"
    sum_ = invoices.total(typed.lines)
    paid, problems = (None, {}) if later else _paid(sum_, typed.currency)
    problems = {**typed.problems, **problems}
    if not typed.lines and not problems:
        problems["line-0"] = say("Write down what is paid for.")
    if problems:
        again = {name: request.form.get(name, "") for name in ("method", "tendered", "slip")}
        shown = Typed(typed.rows, typed.currency, typed.lines, problems)
        return _form(patient_id, visit_id, shown, key, status=422, **again)
    issuer = next((str(each["by"].get("reference", "")) for each in _prices() if each["by"]), "")
    bill = invoices.invoice(
        key, f"Patient/{patient_id}", typed.lines, typed.currency, now(), visit=visit_id, issuer=issuer
    )
    if paid is None:
        made = fhir.create(bill, if_none_exist=f"identifier={invoices.INVOICE}|{key}")
        return _shown(made, fresh=True)
    answer = fhir.transaction(invoices.charged(bill, paid, now(), me().user.fhir_user or ""))
    return _shown(fhir.read(_located(answer["entry"][0])), fresh=True)


def _located(entry: Resource) -> str:
    """`Invoice/id` of an answer's entry."""
    path = str(entry["response"].get("location", "")).partition("/_history")[0]
    return "/".join(path.rsplit("/", 2)[-2:])


def _typed() -> Typed:
    currency = request.form.get("currency", "")
    if not _CURRENCY.match(currency):
        currency = money.usual_currency()
    texts, amounts = request.form.getlist("line"), request.form.getlist("amount")
    found = Typed([], currency)
    for number, (text, amount) in enumerate(zip(texts[:_MOST], amounts[:_MOST], strict=False)):
        plain = " ".join(text.split())[:_LONGEST]
        if not plain and not amount.strip():
            continue
        found.rows.append((plain, amount.strip()[:20]))
        number = len(found.rows) - 1
        value = money.parse(amount, currency)
        if value is None or value == 0:
            found.problems[f"amount-{number}"] = say("Write an amount like 250 or 250.50.") if money.places(
                currency) else say("Write an amount without decimals.")  # fmt: skip
        elif not plain:
            found.problems[f"line-{number}"] = say("Write down what this is for.")
        else:
            found.lines.append(Line(plain, value))
    return found


def _paid(due: Decimal, currency: str) -> tuple[Paid | None, dict[str, str]]:
    """How it is paid, or what is wrong with that. Cash: what was given may be left out, then it was exact."""
    method, slip = request.form.get("method", ""), " ".join(request.form.get("slip", "").split())[:_LONGEST]
    if method not in invoices.METHODS:
        return None, {"method": say("Choose one of these.")}
    given = request.form.get("tendered", "").strip()
    if method == "card" or not given:
        return Paid(method, due if method == "cash" else None, slip if method == "card" else ""), {}
    tendered = money.parse(given, currency)
    if tendered is None:
        return None, {"tendered": say("This is not an amount.")}
    if tendered < due:
        return None, {"tendered": say("That is less than is to be paid.")}
    return Paid(method, tendered), {}


# -- an invoice that is there ------------------------------------------------------------------------------------------


@bp.get("/invoices/<invoice_id>")
def invoice(slug: str, invoice_id: str) -> ResponseReturnValue:
    """An invoice: to be paid, or paid with its receipt."""
    return _shown(fhir.read(f"Invoice/{invoice_id}"))


def _shown(bill: Resource, *, fresh: bool = False, status: int = 200, problem: str = "") -> ResponseReturnValue:
    if not may_see_money():
        raise NotFound("There is no such page.")
    note = _payment_of(bill)
    values: Resource = {
        "bill": bill, "lines": invoices.lines_of(bill), "number": invoices.number(bill), "payment": note,
        "how": invoices.how(note) if note else None, "patient": _patient_of(bill), "fresh": fresh, "problem": problem,
        "key": str(uuid4()), "may_take": may_take_money(), "is_payable": _is_payable(bill),
        "currency": _currency(bill), "places": money.places(_currency(bill)),
        "due": money.typed(money.value(bill.get("totalGross")), _currency(bill)),
    }  # fmt: skip
    return panel("_invoice.html", status=status, **values)


def _is_payable(bill: Resource) -> bool:
    """Whether it waits for a sum that it names; others' invoices need not name one."""
    return bill["status"] == "issued" and bill.get("totalGross", {}).get("value") is not None


def _currency(bill: Resource) -> str:
    return str(bill.get("totalGross", {}).get("currency", "")) or money.usual_currency()


def _patient_of(bill: Resource) -> Resource:
    reference = str(bill.get("subject", {}).get("reference", ""))
    return fhir.read(reference) if reference.startswith("Patient/") else {}


def _payment_of(bill: Resource) -> Resource | None:
    if bill["status"] != "balanced":
        return None
    found = fhir.search("PaymentReconciliation", {
        "identifier": f"{invoices.OF_INVOICE}|{invoices.key_of(bill)}", "status": "active", "_count": 1})  # fmt: skip
    return found.resources[0] if found.resources else None


@bp.post("/invoices/<invoice_id>/pay")
def pay_invoice(slug: str, invoice_id: str) -> ResponseReturnValue:
    """Note the payment of an invoice that was to be paid later."""
    bill = fhir.read(f"Invoice/{invoice_id}")
    if not _is_payable(bill):
        return _shown(bill, problem=say("This invoice is cancelled.") if bill["status"] == "cancelled" else "")
    key = request.form.get("key", "")
    paid, problems = _paid(money.value(bill.get("totalGross")), _currency(bill))
    if paid is None:
        return _shown(bill, status=422, problem=" ".join(problems.values()))
    key = key if _KEY.match(key) else str(uuid4())
    try:
        fhir.transaction(invoices.settled(bill, key, paid, now(), me().user.fhir_user or ""))
    except Refused as error:
        if error.status != 412:
            raise
        return _shown(fhir.read(f"Invoice/{invoice_id}"), problem=explained(error))
    return _shown(fhir.read(f"Invoice/{invoice_id}"), fresh=True)


@bp.post("/invoices/<invoice_id>/cancel-payment")
def cancel_payment(slug: str, invoice_id: str) -> ResponseReturnValue:
    """A payment that was noted wrongly: it stays in the record as cancelled, and the invoice is to be paid again."""
    bill = fhir.read(f"Invoice/{invoice_id}")
    note, reason = _payment_of(bill), " ".join(request.form.get("reason", "").split())[:_LONGEST]
    if not reason:
        return _shown(bill, status=422, problem=say("Say why the payment is cancelled."))
    if note is None:
        return _shown(bill, problem=say("There is no payment to cancel."))
    try:
        fhir.transaction(invoices.taken_back(bill, note, reason))
    except Refused as error:
        if error.status != 412:
            raise
        return _shown(fhir.read(f"Invoice/{invoice_id}"), problem=explained(error))
    return _shown(fhir.read(f"Invoice/{invoice_id}"))


@bp.post("/invoices/<invoice_id>/cancel")
def cancel_invoice(slug: str, invoice_id: str) -> ResponseReturnValue:
    """An invoice that was issued wrongly: cancelled, with the reason; never one that is paid."""
    bill = fhir.read(f"Invoice/{invoice_id}")
    reason = " ".join(request.form.get("reason", "").split())[:_LONGEST]
    if bill["status"] != "issued":
        return _shown(bill, problem=say("Only an invoice that is not paid can be cancelled."))
    if not reason:
        return _shown(bill, status=422, problem=say("Say why the invoice is cancelled."))
    try:
        fhir.update({**bill, "status": "cancelled", "cancelledReason": reason}, if_match=bill["meta"]["versionId"])
    except Refused as error:
        if error.status != 412:
            raise
        return _shown(fhir.read(f"Invoice/{invoice_id}"), problem=explained(error))
    return done(say("The invoice is cancelled."), kind="info")


@bp.get("/invoices/<invoice_id>/print")
def print_receipt(slug: str, invoice_id: str) -> ResponseReturnValue:
    """The receipt on paper."""
    bill = fhir.read(f"Invoice/{invoice_id}")
    note = _payment_of(bill)
    values: Resource = {
        "bill": bill,
        "lines": invoices.lines_of(bill),
        "number": invoices.number(bill),
        "payment": note,
    }
    how = invoices.how(note) if note else None
    return page("desk/receipt_paper.html", how=how, patient=_patient_of(bill), **values)
