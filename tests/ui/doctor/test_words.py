"""Words of the room that stand in tables: every one has its sentence in every language."""

from collections.abc import Iterator

import pytest

from tests.ui.doctor.place import Visit
from ui.doctor import (
    allergies,
    diagnoses,
    dosage,
    measures,
    note_text,
    orders,
    record,
    tickets,
    usual_orders,
    vital_signs,
)
from ui.texts import catalog


def sentences() -> Iterator[str]:
    """Those that no call of say() or _() names."""
    for one, _, _, _ in dosage.UNITS.values():
        yield one
    yield from dosage.UNIT_LABELS.values()
    yield from (text for text, _ in (*dosage.ROUTES.values(), *dosage.TIMES.values()))
    for one, _, label, _ in dosage.DURATIONS.values():
        yield from (one, label)
    yield from (sign.label for sign in vital_signs.ENTERED)
    yield from (label for _, _, _, label in note_text.SECTIONS)
    yield from measures.NAMES.values()
    yield from (title for title, _, _ in orders.CATEGORIES.values())
    yield from (text for rows in usual_orders.USUAL.values() for text, _ in rows)
    for table in (orders.PRIORITIES, orders.STATUSES, diagnoses.CLINICAL, diagnoses.VERIFICATION, allergies.CATEGORIES,
                  allergies.CRITICALITIES, allergies.SEVERITIES, tickets._SAID, tickets._EMPTY):  # fmt: skip
        yield from table.values()
    yield from (title for _, title, _, _, _ in record.FORMS)
    yield from ("if needed", "if needed: %(why)s", "Quantity:", "To be renewed:", "Signature and stamp", "stopped")
    reading = vital_signs.read({"pulse": "x", "oxygen": "0", "systolic": "1", "temperature": "60"})
    yield from (*reading.wrong.values(), *reading.doubtful.values())
    both = vital_signs.read({"systolic": "80", "diastolic": "120"})
    yield from both.doubtful.values()
    _, wrong = dosage.read({"dose": "x", "length": "x", "unit": "x", "note": "x" * 501, "times": ""})
    yield from wrong.values()


@pytest.mark.parametrize("language", ["fr", "es", "ar"])
def test_every_word_of_the_tables_is_known(language: str) -> None:
    known = [catalog(language, "doctor"), catalog(language, "")]
    missing = {text for text in sentences() if not any(text in each.one or text in each.many for each in known)}
    assert missing == set()


@pytest.mark.parametrize("form", ["note", "vitals", "diagnosis", "allergies", "orders", "prescription"])
def test_arabic_pages_have_no_french(visit: Visit, form: str) -> None:
    page = visit.doctor.get(f"{visit.path}?work={form}", lang="ar")
    assert page.status_code == 200 and 'dir="rtl"' in page.text
    for word in ("Ordonnance", "Constantes", "Diagnostic", "Prescription", "Allergies non", "Orders"):
        assert word not in page.text


def test_a_dosage_is_shown_in_the_readers_language_and_printed_in_the_patients(visit: Visit) -> None:
    visit.send("prescription", {"medication": "Aspirine", "dose": "2", "unit": "drop", "times": "1d"})
    visit.send("prescription/sign")
    assert "2 gouttes, 1 fois par jour" in visit.doctor.get(visit.path).text
    assert "قطرة، مرة في اليوم" in visit.doctor.get(visit.path, lang="ar").text
    group = visit.only("MedicationRequest")["groupIdentifier"]["value"]
    assert "2 gouttes, 1 fois par jour" in visit.doctor.get(f"{visit.path}/prescription/{group}", lang="ar").text
