"""Money at the desk: charged once, given back right, never deleted."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.client import Client
from tests.ui.conftest import Demo
from tests.ui.desk.arranged import booked, opened, patient
from ui.desk import money

CASH = {"currency": "MAD", "line": ["Consultation"], "amount": ["250"], "method": "cash"}


def bills(client: Client, who: str) -> list[dict[str, Any]]:
    return client.search(f"Invoice?subject=Patient/{who}")


def payments(client: Client, bill: dict[str, Any]) -> list[dict[str, Any]]:
    key = bill["identifier"][0]["value"]
    return client.search(f"PaymentReconciliation?identifier=urn:salam:payment-of-invoice|{key}")


def test_the_price_of_the_booked_service_is_proposed(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client, "Payeuse")
    visit = booked(client, who)
    form = desk.get(f"desk/payments/new?patient={who}&visit={visit}", htmx=True).text
    assert 'value="Consultation générale"' in form and 'value="250.00"' in form and 'data-places="2"' in form


def test_a_double_click_charges_once_and_change_is_given_back(clinic: Demo) -> None:
    client, desk = opened(clinic), clinic.person("receptionist")
    who = patient(client, "Comptant")
    visit = booked(client, who)
    form = {**CASH, "patient": who, "visit": visit, "key": str(uuid4()), "tendered": "300",
            "line": ["Consultation", "", "Certificat"], "amount": ["250,00", "", "30"]}  # fmt: skip
    first, second = (desk.post("desk/payments", form, htmx=True) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert "20,00" in first.text and "Reçu" in first.text
    [bill] = bills(client, who)
    assert bill["status"] == "balanced" and bill["totalGross"] == {"value": Decimal("280.00"), "currency": "MAD"}
    assert [each["priceComponent"][0]["amount"]["value"] for each in bill["lineItem"]] == [
        Decimal("250.00"),
        Decimal("30.00"),
    ]
    [note] = payments(client, bill)
    assert note["status"] == "active" and note["paymentAmount"] == bill["totalGross"]
    assert note["detail"][0]["request"]["reference"] == f"Invoice/{bill['id']}"
    assert note["requestor"]["reference"] == "Practitioner/demo-receptionist"
    again = desk.get(f"desk/payments/new?patient={who}&visit={visit}", htmx=True)
    assert bill["id"] in again.text and 'name="tendered"' not in again.text
    paper = desk.get(f"desk/invoices/{bill['id']}/print").text
    assert "280,00" in paper and "style=" not in paper


def test_cards_leave_the_number_of_the_slip(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Carte")
    answer = desk.post(
        "desk/payments", {**CASH, "patient": who, "key": str(uuid4()), "method": "card", "slip": "000<42>"}, htmx=True
    )
    assert "000&lt;42&gt;" in answer.text
    [note] = payments(client, bills(client, who)[0])
    codes = [
        each["valueCodeableConcept"]["coding"][0]["code"]
        for each in note["extension"]
        if "valueCodeableConcept" in each
    ]
    assert codes == ["CCCA"]


def test_an_invoice_to_be_paid_later_is_paid_once_by_whoever_is_first(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Plustard")
    key = str(uuid4())
    for _ in range(2):
        desk.post("desk/payments", {**CASH, "patient": who, "key": key, "method": "later"}, htmx=True)
    [bill] = bills(client, who)
    assert bill["status"] == "issued" and payments(client, bill) == []
    assert bill["id"] in desk.get(f"desk/patients/{who}", htmx=True).text
    short = desk.post(
        f"desk/invoices/{bill['id']}/pay", {"method": "cash", "tendered": "100", "key": str(uuid4())}, htmx=True
    )
    assert short.status_code == 422 and payments(client, bill) == []
    form = {"method": "cash", "tendered": "", "key": str(uuid4())}
    for _ in range(2):
        paid = desk.post(f"desk/invoices/{bill['id']}/pay", form, htmx=True)
        assert paid.status_code == 200 and "Payé" in paid.text
    other = desk.post(f"desk/invoices/{bill['id']}/pay", {**form, "key": str(uuid4())}, htmx=True)
    assert other.status_code == 200
    assert len(payments(client, bill)) == 1 and bills(client, who)[0]["status"] == "balanced"


def test_a_wrong_payment_is_cancelled_with_its_reason_and_nothing_is_deleted(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Erreur")
    desk.post("desk/payments", {**CASH, "patient": who, "key": str(uuid4())}, htmx=True)
    [bill] = bills(client, who)
    path = f"desk/invoices/{bill['id']}"
    assert desk.post(f"{path}/cancel-payment", {"reason": " "}, htmx=True).status_code == 422
    assert "payée" in desk.post(f"{path}/cancel", {"reason": "x"}, htmx=True).text
    desk.post(f"{path}/cancel-payment", {"reason": "Mauvais patient"}, htmx=True)
    [note] = payments(client, bill)
    assert (note["status"], note["disposition"]) == ("cancelled", "Mauvais patient")
    assert bills(client, who)[0]["status"] == "issued"
    assert "pas de paiement" in desk.post(f"{path}/cancel-payment", {"reason": "encore"}, htmx=True).text
    assert desk.post(f"{path}/cancel", {"reason": ""}, htmx=True).status_code == 422
    desk.post(f"{path}/cancel", {"reason": "Mauvais patient"}, htmx=True)
    stored = bills(client, who)[0]
    assert (stored["status"], stored["cancelledReason"]) == ("cancelled", "Mauvais patient")


@pytest.mark.parametrize(("amount", "currency"), [
    ("", "MAD"), ("0", "MAD"), ("-5", "MAD"), ("abc", "MAD"), ("12.3456", "MAD"), ("0.001", "MAD"), ("100.5", "XOF"),
    ("9" * 30, "MAD"), ("1e3", "MAD"), ("NaN", "MAD"), ("1.2345", "KWD"),
])  # fmt: skip
def test_what_is_no_amount_is_said_at_the_field(clinic: Demo, amount: str, currency: str) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Faux")
    form = {**CASH, "currency": currency, "patient": who, "key": str(uuid4()), "amount": [amount]}
    answer = desk.post("desk/payments", form, htmx=True)
    assert answer.status_code == 422 and "aria-invalid" in answer.text and bills(client, who) == []


def test_amounts_have_the_digits_of_their_currency() -> None:
    read = [money.parse(text, code) for text, code in (
        ("250", "MAD"), ("250,5", "MAD"), ("1 250.00", "MAD"), ("1.250", "MAD"), ("1,250.50", "MAD"), ("١٢٫٥", "MAD"),
        ("15000", "XOF"), ("15 000", "XOF"), ("15.5", "XOF"), ("1,250", "TND"), ("", "MAD"), ("0.001", "MAD"))]  # fmt: skip
    assert [None if each is None else str(each) for each in read] == [
        "250.00",
        "250.50",
        "1250.00",
        "1250.00",
        "1250.50",
        "12.50",
        "15000",
        "15000",
        None,
        "1.250",
        None,
        None,
    ]
    assert money.amount(Decimal("15000"), "XOF") == {"value": Decimal("15000"), "currency": "XOF"}


def test_francs_without_decimals_are_charged_so(clinic: Demo) -> None:
    client, desk = clinic.client(), clinic.person("receptionist")
    who = patient(client, "Dakar")
    form = {**CASH, "currency": "XOF", "amount": ["15 000"], "tendered": "20000", "patient": who, "key": str(uuid4())}
    assert desk.post("desk/payments", form, htmx=True).status_code == 200
    [bill] = bills(client, who)
    assert str(bill["totalGross"]["value"]) == "15000" and bill["totalGross"]["currency"] == "XOF"


def test_who_takes_no_money_is_offered_none(clinic: Demo) -> None:
    client = clinic.client()
    who = patient(client, "Sansdroit")
    nurse = clinic.person("nurse")
    assert "payments/new" not in nurse.get(f"desk/patients/{who}", htmx=True).text
    assert nurse.get(f"desk/payments/new?patient={who}").status_code == 404
    answer = nurse.post("desk/payments", {**CASH, "patient": who, "key": str(uuid4())}, htmx=True)
    assert answer.headers.get("HX-Reswap") == "none" and bills(client, who) == []
    assert clinic.person("receptionist").get("desk/invoices/nothing").status_code == 404
    for path in ("new?patient=nobody", "new", "new?patient=../x", "new?patient="):
        assert clinic.person("receptionist").get(f"desk/payments/{path}").status_code == 404
    assert clinic.person("receptionist").post("desk/payments", {**CASH, "patient": ""}).status_code == 404
