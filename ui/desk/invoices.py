"""An Invoice and its payment as resources.

Money is Decimal, and nothing of it is ever deleted: what was wrong is cancelled, with the reason. A payment is R4's
PaymentReconciliation; how it was made are elements of R5 as extensions.
https://hl7.org/fhir/R4/invoice.html https://hl7.org/fhir/R5/paymentreconciliation.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from ui import formats
from ui.desk import money
from ui.desk.fields import Resource

INVOICE, PAYMENT, OF_INVOICE, OF_VISIT = (
    f"urn:salam:{name}" for name in ("invoice", "payment", "payment-of-invoice", "invoice-of-appointment")
)
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-PaymentReconciliation."
_METHODS = "http://terminology.hl7.org/CodeSystem/v2-0570"
_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/payment-type", "code": "payment"}
METHODS = {"cash": "CASH", "card": "CCCA"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an invoice."""

    text: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Paid:
    """How something was paid. `method`: cash or card; `tendered`: the cash that was given; `slip`: the number on the
    terminal's slip."""

    method: str
    tendered: Decimal | None = None
    slip: str = ""


def total(lines: Sequence[Line]) -> Decimal:
    """The sum of the lines."""
    return sum((each.amount for each in lines), Decimal())


def invoice(
    key: str, patient: str, lines: Sequence[Line], currency: str, at: datetime, *, visit: str = "", issuer: str = ""
) -> Resource:
    """An issued Invoice. `key`: with which it is made once; `patient`: `Patient/id`; `visit`: id of its Appointment;
    `issuer`: `Organization/id`."""
    sum_ = money.amount(total(lines), currency)
    made: Resource = {
        "resourceType": "Invoice", "status": "issued",
        "identifier": [{"system": INVOICE, "value": key}],
        "subject": {"reference": patient}, "recipient": {"reference": patient},
        "date": at.isoformat(timespec="seconds"),
        "lineItem": [
            {"sequence": number, "chargeItemCodeableConcept": {"text": each.text},
             "priceComponent": [{"type": "base", "amount": money.amount(each.amount, currency)}]}
            for number, each in enumerate(lines, 1)
        ],
        "totalNet": sum_, "totalGross": dict(sum_),
    }  # fmt: skip
    if visit:
        made["identifier"].append({"system": OF_VISIT, "value": visit})
    if issuer:
        made["issuer"] = {"reference": issuer}
    return made


def payment(key: str, bill: Resource, reference: str, paid: Paid, at: datetime, taker: str) -> Resource:
    """The payment of a whole Invoice. `key`: with which it is noted once; `reference`: the Invoice's; `taker`: who took
    the money, `Practitioner/id` or ""."""
    due = bill["totalGross"]
    coded = {"coding": [{"system": _METHODS, "code": METHODS[paid.method]}]}
    extension: list[Resource] = [{"url": f"{_R5}method", "valueCodeableConcept": coded}]
    if paid.tendered is not None:
        back, currency = paid.tendered - money.value(due), due.get("currency") or money.usual_currency()
        for name, value in (("tenderedAmount", paid.tendered), ("returnedAmount", back)):
            extension.append({"url": f"{_R5}{name}", "valueMoney": money.amount(value, currency)})
    if paid.slip:
        extension.append({"url": f"{_R5}referenceNumber", "valueString": paid.slip})
    made: Resource = {
        "resourceType": "PaymentReconciliation", "status": "active", "outcome": "complete", "extension": extension,
        "identifier": [{"system": PAYMENT, "value": key}, {"system": OF_INVOICE, "value": key_of(bill)}],
        "created": at.isoformat(timespec="seconds"), "paymentDate": formats.moment_of(at).date().isoformat(),
        "paymentAmount": dict(due),
        "detail": [{"type": {"coding": [_TYPE]}, "request": {"reference": reference},
                    "date": formats.moment_of(at).date().isoformat(), "amount": dict(due)}],
    }  # fmt: skip
    if taker.startswith(("Practitioner/", "PractitionerRole/")):
        made["requestor"] = {"reference": taker}
    return made


def charged(bill: Resource, paid: Paid, at: datetime, taker: str) -> list[Resource]:
    """A transaction that issues an Invoice and notes its payment, once for the Invoice's key."""
    url = f"urn:uuid:{uuid4()}"
    settled = {**bill, "status": "balanced"}
    note = payment(key_of(bill), bill, url, paid, at, taker)
    return [_once(settled, INVOICE, url), _once(note, PAYMENT)]


def settled(bill: Resource, key: str, paid: Paid, at: datetime, taker: str) -> list[Resource]:
    """A transaction that notes the payment of an issued Invoice, unless somebody has changed that meanwhile."""
    note = payment(key, bill, f"Invoice/{bill['id']}", paid, at, taker)
    return [_over({**bill, "status": "balanced"}), _once(note, PAYMENT)]


def taken_back(bill: Resource, note: Resource, reason: str) -> list[Resource]:
    """A transaction that cancels a payment: the Invoice is to be paid again."""
    return [_over({**note, "status": "cancelled", "disposition": reason}), _over({**bill, "status": "issued"})]


def key_of(bill: Resource) -> str:
    """The key with which an Invoice was made; the id of one that was made elsewhere."""
    for each in bill.get("identifier", ()):
        if each.get("system") == INVOICE:
            return str(each["value"])
    return str(bill["id"])


def number(bill: Resource) -> str:
    """What is printed as the number of a receipt."""
    return key_of(bill).replace("-", "")[:8].upper()


def lines_of(bill: Resource) -> list[Resource]:
    """The lines of an Invoice: text and Money."""
    found = []
    for each in bill.get("lineItem", ()):
        text = formats.coded(each.get("chargeItemCodeableConcept")) or formats.short_reference(
            each.get("chargeItemReference"))  # fmt: skip
        prices = [p.get("amount") for p in each.get("priceComponent", ()) if p.get("amount")]
        found.append({"text": text, "amount": prices[0] if prices else None})
    return found


def how(note: Resource) -> dict[str, Any]:
    """How a payment was made: `method` (cash, card or ""), `tendered`, `returned` (Money), `slip`."""
    given = {each["url"].removeprefix(_R5): each for each in note.get("extension", ()) if each["url"].startswith(_R5)}
    coding: Resource = next(iter(given.get("method", {}).get("valueCodeableConcept", {}).get("coding", ())), {})
    method = next((name for name, code in METHODS.items() if code == coding.get("code")), "")
    return {
        "method": method, "tendered": given.get("tenderedAmount", {}).get("valueMoney"),
        "returned": given.get("returnedAmount", {}).get("valueMoney"),
        "slip": given.get("referenceNumber", {}).get("valueString", ""),
    }  # fmt: skip


def _once(resource: Resource, system: str, url: str = "") -> Resource:
    value = resource["identifier"][0]["value"]
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": f"identifier={system}|{value}"}
    return {**({"fullUrl": url} if url else {}), "resource": resource, "request": request}


def _over(resource: Resource) -> Resource:
    path = f"{resource['resourceType']}/{resource['id']}"
    match = f'W/"{resource["meta"]["versionId"]}"'
    return {"resource": resource, "request": {"method": "PUT", "url": path, "ifMatch": match}}
