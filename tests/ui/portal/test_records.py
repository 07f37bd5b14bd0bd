"""Results, documents and lists: in plain words, and only one's own."""

import base64
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.ui.conftest import Demo
from tests.ui.portal.people import HTML, observation, patient
from ui.portal import app_icon
from ui.portal.measured import Measured, _flag, chart

CASES = [
    ({"interpretation": "H"}, 10, "high"), ({"interpretation": "HH"}, 10, "high"), ({"interpretation": "L"}, 10, "low"),
    ({"interpretation": "N"}, 500, ""), ({"interpretation": "A"}, 10, "other"), ({}, 50, ""), ({}, 9, "low"),
    ({}, 101, "high"), ({}, 10, ""), ({}, 100, ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "value", "flag"), CASES)
def test_a_value_is_flagged_as_the_laboratory_says_else_by_its_range(
    given: dict[str, str], value: int, flag: str
) -> None:
    holder: dict[str, Any] = {}
    if code := given.get("interpretation"):
        holder["interpretation"] = [{"coding": [{"code": code}]}]
    assert _flag(holder, Decimal(value), Decimal(10), Decimal(100)) == flag


def test_results_say_in_plain_words_where_a_value_lies(clinic: Demo) -> None:
    known = patient(clinic)
    clinic.client().create(observation(known.reference))
    text = known.person.get("portal/results").text
    assert "Glycémie (sucre dans le sang)" in text and "Au-dessus de l’habituel" in text and "112 mg/dL" in text
    assert "Glucose" not in text


def test_a_report_stands_with_its_values_once(clinic: Demo) -> None:
    known = patient(clinic)
    value = clinic.client().create(observation(known.reference, 80))
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": f"Bilan {HTML}"}, "subject": {"reference": known.reference},
              "effectiveDateTime": "2026-10-02", "conclusion": "Rien à signaler", "result": [{"reference": f"Observation/{value['id']}"}]}  # fmt: skip
    clinic.client().create(report)
    text = known.person.get("portal/results").text
    assert (
        "Rien à signaler" in text and text.count("80 mg/dL") == 1 and HTML not in text and "Tout est habituel" in text
    )


def test_what_was_entered_in_error_is_not_shown(clinic: Demo) -> None:
    known = patient(clinic)
    clinic.client().create({**observation(known.reference, 555), "status": "entered-in-error"})
    assert "555 mg" not in known.person.get("portal/results").text


def test_a_trend_is_a_curve_and_a_table_of_ones_own_values(clinic: Demo) -> None:
    known, other = patient(clinic), patient(clinic)
    for value, day in ((88, 1), (95, 5), (121, 9)):
        clinic.client().create(
            {**observation(known.reference, value), "effectiveDateTime": f"2026-0{day}-02T08:00:00Z"}
        )
    clinic.client().create(observation(other.reference, 77))
    text = known.person.get("portal/results/trend?code=http%3A%2F%2Floinc.org%7C2345-7").text
    assert text.count("<circle") == 3 and text.index("121 mg/dL") < text.index("95 mg/dL") and "77 mg/dL" not in text


@pytest.mark.parametrize("code", ["", "x", "http://loinc.org|", "http://loinc.org|0000-0", "a|b|c", "%00"])
def test_a_trend_of_nothing_is_not_there(clinic: Demo, code: str) -> None:
    assert clinic.person("patient").get(f"portal/results/trend?code={code}").status_code == 404


def test_a_chart_needs_two_values_and_keeps_them_in_its_box() -> None:
    from datetime import UTC, datetime

    def value(number: int, day: int) -> Measured:
        return Measured(
            "c", "n", "", "", "", datetime(2026, 1, day, tzinfo=UTC), Decimal(number), Decimal(3), Decimal(5)
        )

    assert chart([value(4, 1)]) is None
    made = chart([value(4, 1), value(90, 1), value(4, 20)])
    assert made is not None and all(0 <= x <= made.width and 0 <= y <= made.height for x, y, _ in made.points)


# -- documents ---------------------------------------------------------------------------------------------------------


def document(clinic: Demo, who: str, attachment: dict[str, Any]) -> str:
    made = clinic.client().create({
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": who}, "date": "2026-10-01T10:00:00Z",
        "description": "Ordonnance", "content": [{"attachment": attachment}],
    })  # fmt: skip
    return f"portal/files/DocumentReference/{made['id']}/content/0"


def text_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_document_is_opened_and_cannot_run_anything(clinic: Demo) -> None:
    known = patient(clinic)
    path = document(clinic, known.reference, {"contentType": "text/html", "data": text_of("<script>alert(1)</script>")})
    assert path in known.person.get("portal/documents").text
    answer = known.person.get(path)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/octet-stream"
    assert (
        answer.headers["Content-Disposition"].startswith("attachment")
        and "sandbox" in answer.headers["Content-Security-Policy"]
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"


def test_a_binary_of_this_server_is_opened_as_what_it_is(clinic: Demo) -> None:
    known = patient(clinic)
    binary = clinic.client().create({"resourceType": "Binary", "contentType": "application/pdf", "data": text_of("%PDF-1.4"),
                                     "securityContext": {"reference": known.reference}})  # fmt: skip
    path = document(
        clinic,
        known.reference,
        {"contentType": "application/pdf", "url": f"Binary/{binary['id']}", "title": "Ord/../onnance"},
    )
    answer = known.person.get(path)
    assert (
        answer.status_code == 200 and answer.data == b"%PDF-1.4" and answer.headers["Content-Type"] == "application/pdf"
    )
    assert answer.headers["Content-Disposition"] == 'inline; filename="Ord .. onnance.pdf"'


def test_another_patients_documents_are_not_there(clinic: Demo) -> None:
    path = document(clinic, patient(clinic).reference, {"contentType": "text/plain", "data": text_of("secret")})
    assert patient(clinic).person.get(path).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/x",
        "Binary/../Patient/demo-0002",
        "Binary/unknown",
        "file:///etc/passwd",
        "/t/demo/fhir/Patient/demo-0002",
    ],
)
def test_what_is_not_a_file_of_this_server_is_not_fetched(clinic: Demo, url: str) -> None:
    known = patient(clinic)
    assert (
        known.person.get(document(clinic, known.reference, {"contentType": "text/plain", "url": url})).status_code
        == 404
    )


@pytest.mark.parametrize(
    "path",
    [
        "DocumentReference/none/content/0",
        "Patient/demo-0001/photo/0",
        "DocumentReference/none/content/-1",
        "Observation/x/content/0",
    ],
)
def test_other_addresses_hold_no_file(clinic: Demo, path: str) -> None:
    assert clinic.person("patient").get(f"portal/files/{path}").status_code == 404


def test_the_lists_of_the_record(clinic: Demo) -> None:
    known, client = patient(clinic), clinic.client()
    subject = {"reference": known.reference}
    client.create(
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"text": "Tétanos"},
            "patient": subject,
            "occurrenceDateTime": "2019-04-02",
            "lotNumber": "L7",
        }
    )
    client.create({"resourceType": "AllergyIntolerance", "patient": subject, "code": {"text": "Pénicilline"}, "criticality": "high",
                   "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]}})  # fmt: skip
    client.create({"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": subject, "medicationCodeableConcept": {"text": "Paracétamol"},
                   "dosageInstruction": [{"text": "1 g trois fois par jour"}]})  # fmt: skip
    text = known.person.get("portal/record").text
    assert (
        re.search("Tétanos.*L7.*2 avr. 2019", text, re.DOTALL)
        and "Sévère" in text
        and "1 g trois fois par jour" in text
    )


# -- icons -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", app_icon.SIZES)
@pytest.mark.parametrize("whole", [True, False])
def test_an_icon_is_a_png_of_its_size(size: int, whole: bool) -> None:
    import struct
    import zlib

    data = app_icon.png(size, "#0b6b63", whole=whole)
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (size, size)
    start = data.index(b"IDAT") + 4
    length = struct.unpack(">I", data[start - 8 : start - 4])[0]
    rows = zlib.decompress(data[start : start + length])
    assert len(rows) == size * (size + 1) and max(rows) == 19
    corner, middle = rows[1], rows[(size // 2) * (size + 1) + 1 + size // 2]
    assert corner == (9 if whole else 0) and middle == 19
