"""Vital signs: forms become Observations with the right codes and units; slips are asked about."""

from decimal import Decimal
from typing import Any

import pytest

from tests.ui.doctor.place import Visit
from ui.doctor.vital_signs import body_mass_index, number, read


def coded(observation: dict[str, Any]) -> str:
    return str(observation["code"]["coding"][0]["code"])


def test_everything_measured_becomes_observations(visit: Visit) -> None:
    form = {"systolic": "128", "diastolic": "82", "pulse": "72", "temperature": "37,4", "oxygen": "98", "breathing": "16",
            "weight": "68,5", "height": "165", "pain": "3", "glucose": "1,05", "glucose_unit": "g/L"}  # fmt: skip
    answer = visit.send("vitals", form)
    assert answer.status_code == 200, answer.text
    found = {coded(each): each for each in visit.stored("Observation")}
    assert set(found) == {
        "85354-9",
        "8867-4",
        "8310-5",
        "2708-6",
        "9279-1",
        "29463-7",
        "8302-2",
        "72514-3",
        "41653-7",
        "39156-5",
    }
    parts = {each["code"]["coding"][0]["code"]: each["valueQuantity"] for each in found["85354-9"]["component"]}
    assert parts["8480-6"] == {
        "value": Decimal(128),
        "unit": "mmHg",
        "system": "http://unitsofmeasure.org",
        "code": "mm[Hg]",
    }
    assert found["8310-5"]["valueQuantity"]["value"] == Decimal("37.4")
    assert found["41653-7"]["valueQuantity"]["code"] == "g/L"
    assert found["39156-5"]["valueQuantity"]["value"] == Decimal("25.2")
    assert len(found["39156-5"]["derivedFrom"]) == 2
    for each in found.values():
        assert each["status"] == "final" and each["category"][0]["coding"][0]["code"] == "vital-signs"
        assert each["encounter"]["reference"] == f"Encounter/{visit.encounter['id']}"
        assert each["performer"][0]["reference"] == "Practitioner/demo-elamrani"
        assert "+" in each["effectiveDateTime"]


def test_undo_marks_them_as_entered_in_error(visit: Visit) -> None:
    import json

    answer = visit.send("vitals", {"pulse": "70"})
    undo = json.loads(answer.headers["HX-Trigger"])["salam:toast"]["undo"]
    assert visit.doctor.post(undo, htmx=True).status_code == 200
    assert visit.only("Observation")["status"] == "entered-in-error"


def test_what_is_unusual_is_asked_about_once_and_then_stored(visit: Visit) -> None:
    answer = visit.send("vitals", {"temperature": "47"})
    assert answer.status_code == 422
    assert visit.stored("Observation") == []
    assert 'value="47"' in answer.text and 'name="checked" value="temperature=47"' in answer.text
    # Another unusual value is asked about again.
    assert visit.send("vitals", {"temperature": "57", "checked": "temperature=47"}).status_code == 422
    assert visit.send("vitals", {"temperature": "47", "checked": "temperature=47"}).status_code == 200
    assert visit.only("Observation")["valueQuantity"]["value"] == Decimal(47)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"pulse": "abc"}, "pulse"), ({"pulse": "-4"}, "pulse"), ({"oxygen": "140"}, "oxygen"), ({"pain": "11"}, "pain"),
        ({"systolic": "120"}, "diastolic"), ({}, "systolic"), ({"weight": "1e9"}, "weight"), ({"weight": "9" * 10_000}, "weight"),
        ({"temperature": "37.5.1"}, "temperature"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(visit: Visit, form: dict[str, str], field: str) -> None:
    answer = visit.send("vitals", form)
    assert answer.status_code == 422
    start = answer.text.index(f'id="{field}"')
    assert 'aria-invalid="true"' in answer.text[start : answer.text.index(">", start)]
    assert visit.stored("Observation") == []


def test_arabic_digits_and_commas_are_numbers() -> None:
    assert number("٣٧٫٥") == Decimal("37.5")
    assert read({"temperature": "٣٧٫٥"}).values["temperature"] == Decimal("37.5")


def test_a_mass_index_of_no_body_is_left_out() -> None:
    assert body_mass_index(Decimal(70), Decimal(175)) == Decimal("22.9")
    assert body_mass_index(Decimal(70), Decimal("1.75")) is None


def test_observations_of_others_are_not_undone(visit: Visit) -> None:
    other = visit.client.search("Observation?patient=Patient/demo-0001&category=vital-signs&_count=1")[0]
    answer = visit.doctor.post(f"{visit.path}/vitals/undo{visit.query}&ids={other['id']}")
    assert answer.status_code == 404
    assert visit.client.get(f"Observation/{other['id']}").json["status"] == "final"


def test_without_scripts_the_form_leads_back_to_the_record(visit: Visit) -> None:
    answer = visit.send("vitals", {"pulse": "70"}, htmx=False)
    assert answer.status_code == 303 and answer.headers["Location"].endswith("work=vitals")
    page = visit.doctor.get(answer.headers["Location"])
    assert page.status_code == 200 and "70" in page.text
    wrong = visit.send("vitals", {"pulse": "x"}, htmx=False)
    assert wrong.status_code == 422 and "<h1>" in wrong.text and 'value="x"' in wrong.text


def test_no_form_without_its_token(visit: Visit) -> None:
    answer = visit.doctor.post(f"{visit.path}/vitals{visit.query}", {"pulse": "70"}, csrf=False)
    assert answer.status_code == 403
    assert visit.stored("Observation") == []
