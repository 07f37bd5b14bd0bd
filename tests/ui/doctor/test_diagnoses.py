"""Diagnoses, allergies and orders: each form makes exactly the right resource, and can be taken back."""

import json
from typing import Any

import pytest

from tests.ui.conftest import Demo
from tests.ui.doctor.place import Visit, new_visit


def undo_of(answer: Any) -> str:
    return str(json.loads(answer.headers["HX-Trigger"])["salam:toast"]["undo"])


def status(resource: dict[str, Any], element: str) -> str:
    return str(resource.get(element, {}).get("coding", [{}])[0].get("code", ""))


# -- diagnoses ---------------------------------------------------------------------------------------------------------


def test_a_diagnosis_gets_the_coding_it_had_before(visit: Visit) -> None:
    answer = visit.send(
        "diagnosis",
        {"text": "asthma", "certainty": "provisional", "onset": "2026-11-01", "problem": "1", "note": "nuit"},
    )
    assert answer.status_code == 200, answer.text
    made = visit.only("Condition")
    assert made["code"]["text"] == "asthma"
    assert {"system": "http://snomed.info/sct", "code": "195967001", "display": "Asthma"} in made["code"]["coding"]
    assert status(made, "clinicalStatus") == "active" and status(made, "verificationStatus") == "provisional"
    assert made["category"][0]["coding"][0]["code"] == "problem-list-item"
    assert made["encounter"]["reference"] == f"Encounter/{visit.encounter['id']}"
    assert made["onsetDateTime"] == "2026-11-01" and made["note"] == [{"text": "nuit"}]
    assert made["recorder"]["reference"] == "Practitioner/demo-elamrani"
    assert visit.doctor.post(undo_of(answer), htmx=True).status_code == 200
    gone = visit.only("Condition")
    assert status(gone, "verificationStatus") == "entered-in-error" and "clinicalStatus" not in gone


def test_free_text_is_a_diagnosis_too(visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Douleur <b>diffuse</b>", "certainty": "differential"})
    made = visit.only("Condition")
    assert made["code"] == {"text": "Douleur <b>diffuse</b>"}
    assert made["category"][0]["coding"][0]["code"] == "encounter-diagnosis"
    page = visit.doctor.get(f"{visit.path}{visit.query}")
    assert "Douleur <b>" not in page.text and "Douleur &lt;b&gt;" in page.text


def test_resolved_and_back(visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Angine"})
    made = visit.only("Condition")
    answer = visit.send(f"condition/{made['id']}/set", query=f"{visit.query}&clinical=resolved")
    resolved = visit.only("Condition")
    assert status(resolved, "clinicalStatus") == "resolved" and resolved["abatementDateTime"]
    visit.doctor.post(undo_of(answer), htmx=True)
    again = visit.only("Condition")
    assert status(again, "clinicalStatus") == "active" and "abatementDateTime" not in again


def test_refuted(visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Angine"})
    made = visit.only("Condition")
    visit.send(f"condition/{made['id']}/set", query=f"{visit.query}&verification=refuted&clinical=inactive")
    refuted = visit.only("Condition")
    assert status(refuted, "verificationStatus") == "refuted" and status(refuted, "clinicalStatus") == "inactive"


@pytest.mark.parametrize(
    ("form", "field"),
    [({"text": " "}, "text"), ({"text": "x" * 10_000}, "text"), ({"text": "x", "certainty": "sure"}, "certainty"),
     ({"text": "x", "onset": "2999-01-01"}, "onset"), ({"text": "x", "onset": "gestern"}, "onset")],
)  # fmt: skip
def test_a_diagnosis_that_cannot_be(visit: Visit, form: dict[str, str], field: str) -> None:
    answer = visit.send("diagnosis", form)
    assert answer.status_code == 422
    start = answer.text.index(f'id="{field}"')
    assert 'aria-invalid="true"' in answer.text[start : answer.text.index(">", start)]
    assert visit.stored("Condition") == []


def test_a_condition_of_somebody_else_is_not_there(clinic: Demo, visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Angine"})
    made = visit.only("Condition")
    other = new_visit(clinic, visit.doctor)
    answer = other.doctor.post(f"{other.path}/condition/{made['id']}/set{other.query}&clinical=resolved")
    assert answer.status_code == 404
    assert status(visit.only("Condition"), "clinicalStatus") == "active"


def test_a_visit_of_somebody_else_is_not_there(clinic: Demo, visit: Visit) -> None:
    other = new_visit(clinic, visit.doctor)
    answer = visit.doctor.post(f"{visit.path}/diagnosis{other.query}", {"text": "Angine"})
    assert answer.status_code == 404
    assert visit.stored("Condition") == []


def test_terms_are_suggested_by_their_beginning(visit: Visit) -> None:
    found = visit.doctor.get("doctor/terms/condition?text=hypertensi", htmx=True)
    assert 'value="Hypertensive disorder"' in found.text and "38341003" in found.text
    assert visit.doctor.get("doctor/terms/secret?q=a").status_code == 404
    assert visit.doctor.get("doctor/terms/condition?text=" + "x" * 10_000, htmx=True).status_code == 200


def test_free_text_of_one_record_is_not_suggested_to_others(visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Zona de la voisine du maire"})
    assert "Zona de la voisine" not in visit.doctor.get("doctor/terms/condition?text=zona", htmx=True).text
    visit.send("diagnosis", {"text": "Zona de la voisine du maire"})
    assert "Zona de la voisine" in visit.doctor.get("doctor/terms/condition?text=zona", htmx=True).text


# -- allergies ---------------------------------------------------------------------------------------------------------


def test_not_asked_none_known_and_some_are_three_things(visit: Visit) -> None:
    page = visit.doctor.get(visit.path).text
    assert "Allergies non demandées" in page
    visit.send("allergies/none")
    assert "Aucune allergie connue" in visit.doctor.get(visit.path).text
    none = visit.only("AllergyIntolerance")
    assert none["code"]["coding"][0]["code"] == "716186003"
    # Twice is once.
    visit.send("allergies/none")
    assert len(visit.stored("AllergyIntolerance")) == 1
    answer = visit.send(
        "allergies",
        {
            "text": "Allergy to penicillin",
            "category": "medication",
            "criticality": "high",
            "reaction": "Urticaire",
            "severity": "moderate",
        },
    )
    assert answer.status_code == 200
    found = {each["code"]["coding"][0]["code"]: each for each in visit.stored("AllergyIntolerance")}
    assert status(found["716186003"], "clinicalStatus") == "resolved"
    made = found["91936005"]
    assert made["criticality"] == "high" and made["category"] == ["medication"]
    assert made["reaction"] == [{"manifestation": [{"text": "Urticaire"}], "severity": "moderate"}]
    page = visit.doctor.get(visit.path).text
    assert "tag-danger" in page and "Aucune allergie connue" not in page
    assert visit.send("allergies/none").status_code == 422


def test_an_allergy_is_resolved_refuted_and_restored(visit: Visit) -> None:
    visit.send("allergies", {"text": "Arachide"})
    made = visit.only("AllergyIntolerance")
    answer = visit.send(f"allergies/{made['id']}/refute")
    refuted = visit.only("AllergyIntolerance")
    assert status(refuted, "verificationStatus") == "refuted"
    visit.doctor.post(undo_of(answer), htmx=True)
    assert status(visit.only("AllergyIntolerance"), "clinicalStatus") == "active"
    visit.send(f"allergies/{made['id']}/error")
    assert "clinicalStatus" not in visit.only("AllergyIntolerance")


# -- orders ------------------------------------------------------------------------------------------------------------


def test_several_orders_in_one(visit: Visit) -> None:
    visit.send("diagnosis", {"text": "Anémie"})
    problem = visit.only("Condition")["id"]
    form = {"order": ["laboratory|58410-2|Hémogramme (NFS)", "imaging|36643-5|Radiographie du thorax"], "other": "Avis cardiologue",
            "other_kind": "referral", "priority": "urgent", "reason": "Dyspnée", "problem": problem}  # fmt: skip
    answer = visit.send("orders", form)
    assert answer.status_code == 200, answer.text
    made = {each["code"]["text"]: each for each in visit.stored("ServiceRequest")}
    assert set(made) == {"Hémogramme (NFS)", "Radiographie du thorax", "Avis cardiologue"}
    lab = made["Hémogramme (NFS)"]
    assert lab["code"]["coding"] == [{"system": "http://loinc.org", "code": "58410-2"}]
    assert lab["category"][0]["coding"][0]["code"] == "108252007" and lab["priority"] == "urgent"
    assert lab["status"] == "active" and lab["intent"] == "order" and lab["reasonCode"] == [{"text": "Dyspnée"}]
    assert lab["reasonReference"] == [{"reference": f"Condition/{problem}"}]
    assert made["Avis cardiologue"]["category"][0]["coding"][0]["code"] == "3457005"
    visit.doctor.post(undo_of(answer), htmx=True)
    assert {each["status"] for each in visit.stored("ServiceRequest")} == {"revoked"}


def test_an_order_leads_to_its_result(visit: Visit) -> None:
    visit.send("orders", {"order": ["laboratory|1988-5|CRP"]})
    order = visit.only("ServiceRequest")
    visit.client.create({
        "resourceType": "Observation", "status": "final", "basedOn": [{"reference": f"ServiceRequest/{order['id']}"}],
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "1988-5"}], "text": "CRP"},
        "subject": {"reference": f"Patient/{visit.patient['id']}"}, "effectiveDateTime": "2026-11-20T08:00:00Z",
        "valueQuantity": {"value": 48, "unit": "mg/L"}, "referenceRange": [{"high": {"value": 5, "unit": "mg/L"}}],
    })  # fmt: skip
    page = visit.doctor.get(visit.path).text
    assert "résultat reçu" in page and "CRP: 48 mg/L" in page
    assert "élevé" in page


def test_nothing_ordered_is_said(visit: Visit) -> None:
    assert visit.send("orders", {}).status_code == 422
    assert visit.send("orders", {"order": ["evil|x|y"]}).status_code == 422
    assert visit.send("orders", {"other": "x", "problem": "demo-nothing"}).status_code in (200, 404)
    assert visit.stored("ServiceRequest") == []
