"""Prescriptions: dosages in words and as data, allergies that speak against them, signing, printing, stopping."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.ui.conftest import Demo
from tests.ui.doctor.place import Visit, new_visit
from ui.doctor import allergy_check, dosage

AMOXICILLIN = {
    "medication": "Amoxicilline 1 g",
    "dose": "1",
    "unit": "tablet",
    "route": "PO",
    "times": "2d",
    "length": "7",
    "length_unit": "d",
}


def undo_of(answer: Any) -> str:
    return str(json.loads(answer.headers["HX-Trigger"])["salam:toast"]["undo"])


def allergy(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "a", "code": {"text": text}, "clinicalStatus": {"coding": [{"code": "active"}]}, **more}


def line(**fields: str) -> dosage.Line:
    read, wrong = dosage.read({**AMOXICILLIN, **fields})
    assert wrong == {}
    return read


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "1 comprimé, par voie orale, 2 fois par jour, pendant 7 jours"),
        ("en", "1 tablet, by mouth, twice a day, for 7 days"),
        ("es", "1 comprimido, por vía oral, 2 veces al día, durante 7 días"),
        ("ar", "1 قرص، عن طريق الفم، مرتين في اليوم، لمدة 7 أيام"),
    ],
)
def test_the_sentence_is_in_the_patients_language(language: str, text: str) -> None:
    assert dosage.sentence(line(), language) == text


def test_halves_and_needs() -> None:
    read = line(dose="1,5", times="q6h", length="", needed="1", needed_for="fièvre", note="Au plus 4 par jour")
    assert (
        dosage.sentence(read, "fr")
        == "1,5 comprimé, par voie orale, toutes les 6 heures, si besoin\u00a0: fièvre. Au plus 4 par jour"
    )
    made = dosage.dosage(read, "fr")
    assert made["asNeededCodeableConcept"] == {"text": "fièvre"} and "asNeededBoolean" not in made
    assert made["timing"]["repeat"] == {"frequency": 1, "period": 6, "periodUnit": "h"}
    assert dosage.supply(read) is None


def test_what_is_needed_in_all_is_counted() -> None:
    supply = dosage.supply(line())
    assert supply is not None and supply["quantity"]["value"] == Decimal(14)
    assert dosage.supply(line(dose="0.5", times="1d", length="1", length_unit="wk")) == {
        "quantity": {"value": Decimal(4), "unit": "tablet", "system": "http://unitsofmeasure.org", "code": "{tbl}"}
    }


def test_a_dosage_is_read_back_into_its_form() -> None:
    read = line(needed="1")
    fields = dosage.fields_of({"dosageInstruction": [dosage.dosage(read, "fr")]})
    assert {**fields, "medication": "Amoxicilline 1 g"} == {**AMOXICILLIN, "needed": "1"}
    assert dosage.fields_of({"dosageInstruction": [{"text": "2 puffs when needed"}]}) == {"note": "2 puffs when needed"}


@pytest.mark.parametrize(
    ("medicine", "known", "certain"),
    [
        ("Amoxicilline 1 g", "Allergy to penicillin", True), ("Augmentin", "Pénicilline", True), ("Céfixime 200 mg", "Allergie à la pénicilline", False),
        ("Ibuprofène 400", "Aspirine", True), ("Bactrim forte", "Sulfamides", True), ("أموكسيسيلين", "حساسية من البنسلين", True),
        ("Paracétamol 1 g", "Paracetamol", True), ("Doliprane", "Allergy to penicillin", None), ("Amlodipine", "Allergy to peanut", None),
    ],
)  # fmt: skip
def test_medicines_and_allergies(medicine: str, known: str, certain: bool | None) -> None:
    found = allergy_check.conflicts(medicine, [], [allergy(known)])
    assert [each.certain for each in found] == ([] if certain is None else [certain])


def test_only_what_counts_is_compared() -> None:
    resolved = allergy("Penicillin", clinicalStatus={"coding": [{"code": "resolved"}]})
    refuted = allergy("Penicillin", verificationStatus={"coding": [{"code": "refuted"}]})
    assert allergy_check.conflicts("Amoxicillin", [], [resolved, refuted]) == []
    coded = [{"system": "http://www.whocc.no/atc", "code": "J01CA04"}]
    assert len(allergy_check.conflicts("Clamox", coded, [allergy("Allergy to penicillin")])) == 1


def test_from_the_first_line_to_the_paper(visit: Visit) -> None:
    assert visit.send("prescription", {**AMOXICILLIN, "repeats": "1"}).status_code == 200
    draft = visit.only("MedicationRequest")
    assert draft["status"] == "draft" and draft["intent"] == "order" and draft["language"] == "fr"
    instruction = draft["dosageInstruction"][0]
    assert instruction["text"] == "1 comprimé, par voie orale, 2 fois par jour, pendant 7 jours"
    assert (
        instruction["timing"]["repeat"]["boundsDuration"]["code"] == "d"
        and instruction["timing"]["repeat"]["frequency"] == 2
    )
    assert instruction["route"]["coding"][0]["code"] == "PO"
    assert instruction["doseAndRate"][0]["doseQuantity"]["value"] == Decimal(1)
    assert draft["dispenseRequest"]["numberOfRepeatsAllowed"] == 1 and draft["dispenseRequest"]["quantity"][
        "value"
    ] == Decimal(14)
    assert visit.send("prescription/sign").status_code == 200
    signed = visit.only("MedicationRequest")
    assert signed["status"] == "active" and signed["groupIdentifier"]["system"] == "urn:salam:prescription"
    assert visit.send("prescription/sign").status_code == 422
    paper = visit.doctor.get(f"{visit.path}/prescription/{signed['groupIdentifier']['value']}{visit.query}")
    assert paper.status_code == 200
    for text in ("Amoxicilline 1 g", "Nora ESSAYEH", "Clinique Al Amal", "14 comprimés", "EL AMRANI"):
        assert text in paper.text
    assert visit.doctor.get(f"{visit.path}/prescription/unknown").status_code == 404


def test_an_arabic_patient_reads_arabic(clinic: Demo, visit: Visit) -> None:
    arabic = new_visit(
        clinic, visit.doctor, communication=[{"language": {"coding": [{"code": "ar-MA"}]}, "preferred": True}]
    )
    arabic.send("prescription", AMOXICILLIN)
    arabic.send("prescription/sign")
    made = arabic.only("MedicationRequest")
    assert made["language"] == "ar" and "قرص" in made["dosageInstruction"][0]["text"]
    paper = arabic.doctor.get(f"{arabic.path}/prescription/{made['groupIdentifier']['value']}{arabic.query}").text
    assert re.search(r'<article[^>]*lang="ar" dir="rtl"', paper) and "الوصفة" in paper


def test_an_allergy_needs_a_reason_which_is_kept(visit: Visit) -> None:
    visit.send("allergies", {"text": "Allergy to penicillin", "criticality": "high"})
    preview = visit.send("prescription/preview", AMOXICILLIN)
    assert "note-danger" in preview.text and "Allergy to penicillin" in preview.text
    answer = visit.send("prescription", AMOXICILLIN)
    assert answer.status_code == 422 and visit.stored("MedicationRequest") == []
    assert 'id="override-error"' in answer.text
    assert visit.send("prescription", {**AMOXICILLIN, "override": "Test cutané négatif en 2025"}).status_code == 200
    made = visit.only("MedicationRequest")
    issue = visit.client.get(made["detectedIssue"][0]["reference"]).json
    assert (
        issue["code"]["coding"][0]["code"] == "ALGY"
        and issue["mitigation"][0]["action"]["text"] == "Test cutané négatif en 2025"
    )
    assert issue["implicated"][0]["reference"].startswith("AllergyIntolerance/")
    assert issue["mitigation"][0]["author"]["reference"] == "Practitioner/demo-elamrani"


def test_the_last_prescription_is_repeated(clinic: Demo, visit: Visit) -> None:
    visit.send("prescription", AMOXICILLIN)
    visit.send("prescription", {**AMOXICILLIN, "medication": "Paracétamol 1 g", "needed": "1"})
    visit.send("prescription/sign")
    ids = ",".join(each["id"] for each in visit.stored("MedicationRequest"))
    assert visit.send("prescription/repeat", {"ids": ids}, query="?visit=").status_code == 200
    drafts = [each for each in visit.stored("MedicationRequest") if each["status"] == "draft"]
    assert len(drafts) == 2 and all(each["priorPrescription"] and "groupIdentifier" not in each for each in drafts)
    other = new_visit(clinic, visit.doctor)
    assert other.doctor.post(f"{other.path}/prescription/repeat", {"ids": ids}).status_code == 404
    assert other.stored("MedicationRequest") == []


def test_a_repetition_that_meets_an_allergy_is_not_copied(visit: Visit) -> None:
    visit.send("prescription", AMOXICILLIN)
    visit.send("prescription/sign")
    visit.send("allergies", {"text": "Pénicilline"})
    answer = visit.send("prescription/repeat", {"ids": visit.only("MedicationRequest")["id"]})
    assert answer.status_code == 422 and 'value="Amoxicilline 1 g"' in answer.text
    assert len(visit.stored("MedicationRequest")) == 1


def test_stopped_with_a_reason_and_taken_back(visit: Visit) -> None:
    visit.send("prescription", AMOXICILLIN)
    visit.send("prescription/sign")
    made = visit.only("MedicationRequest")
    answer = visit.send(f"medication/{made['id']}/stop", {"reason": "Diarrhée"})
    stopped = visit.only("MedicationRequest")
    assert stopped["status"] == "stopped" and stopped["statusReason"] == {"text": "Diarrhée"}
    visit.doctor.post(undo_of(answer), htmx=True)
    again = visit.only("MedicationRequest")
    assert again["status"] == "active" and "statusReason" not in again


def test_a_line_is_taken_out_of_the_draft_only(visit: Visit) -> None:
    answer = visit.send("prescription", AMOXICILLIN)
    assert visit.doctor.post(undo_of(answer), htmx=True).status_code == 200
    assert visit.only("MedicationRequest")["status"] == "entered-in-error"
    visit.send("prescription", AMOXICILLIN)
    visit.send("prescription/sign")
    active = next(each for each in visit.stored("MedicationRequest") if each["status"] == "active")
    assert visit.doctor.post(f"{visit.path}/medication/{active['id']}/remove{visit.query}").status_code == 404


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"medication": ""}, "medication"), ({"medication": "x" * 10_000}, "medication"), ({"dose": "zwei"}, "dose"), ({"dose": "0"}, "dose"),
        ({"unit": ""}, "unit"), ({"unit": "barrel"}, "unit"), ({"times": ""}, "times"), ({"length": "1,5"}, "length"), ({"length": "0"}, "length"),
        ({"route": "XX"}, "route"), ({"note": "x" * 501}, "note"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be(visit: Visit, form: dict[str, str], field: str) -> None:
    answer = visit.send("prescription", {**AMOXICILLIN, **form})
    assert answer.status_code == 422
    start = answer.text.index(f'id="{field}"')
    assert 'aria-invalid="true"' in answer.text[start : answer.text.index(">", start)]
    assert visit.stored("MedicationRequest") == []
