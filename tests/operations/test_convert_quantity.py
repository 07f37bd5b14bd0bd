"""$convert-quantity: a quantity in another UCUM unit, or a sentence that says why not."""

from decimal import Decimal
from typing import Any

import pytest

from tests.client import Client

UCUM = "http://unitsofmeasure.org"


def quantity(value: str, code: str | None, **more: Any) -> dict[str, Any]:
    return {"value": Decimal(value), "system": UCUM, **({"code": code} if code else {}), **more}


def asked(client: Client, value: dict[str, Any], to: str) -> Any:
    given = [{"name": "quantity", "valueQuantity": value}, {"name": "to", "valueCode": to}]
    return client.post("$convert-quantity", {"resourceType": "Parameters", "parameter": given})


def test_by_the_url(client: Client) -> None:
    answer = client.get("$convert-quantity?value=98.6&unit=%5BdegF%5D&to=Cel")
    assert answer.status == 200
    found = answer.json["parameter"][0]
    assert found["name"] == "return"
    assert found["valueQuantity"] == {"value": Decimal(37), "unit": "°C", "system": UCUM, "code": "Cel"}


def test_a_quantity_keeps_its_comparator(client: Client) -> None:
    answer = asked(client, quantity("5.40", "mmol/L", comparator="<"), "umol/mL")
    found = answer.json["parameter"][0]["valueQuantity"]
    assert found == {"value": Decimal("5.4"), "comparator": "<", "unit": "μmol/mL", "system": UCUM, "code": "umol/mL"}


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("value=1&unit=g", 400, "to"), ("value=1&to=g", 400, "value and unit"), ("unit=g&to=kg", 400, "value and unit"),
        ("value=x&unit=g&to=kg", 400, "value"), ("value=1&unit=mmHg&to=kPa", 400, "mm[Hg]"), ("value=1&unit=g&to=gg", 400, "'gg'"),
        ("value=1&unit=mg/dL&to=mmol/L", 422, "different things"), ("value=0&unit=mol/l&to=%5BpH%5D", 422, "zero"),
        ("value=1e999999999&unit=g&to=kg", 422, "too large"),
    ],
)  # fmt: skip
def test_what_is_refused(client: Client, query: str, status: int, said: str) -> None:
    answer = client.get(f"$convert-quantity?{query}")
    assert answer.status == status, answer.text
    assert said in answer.issues[0]["details"]["text"]


@pytest.mark.parametrize(
    "value", [quantity("1", None), {"system": UCUM, "code": "g"}, {"value": 1, "system": "urn:x", "code": "g"}]
)
def test_what_is_no_quantity_of_ucum(client: Client, value: dict[str, Any]) -> None:
    assert asked(client, value, "kg").status == 400
