"""Who is meant: from what somebody types to patients."""

import pytest

from tests.client import Client
from tests.ui.conftest import Demo, Person
from tests.ui.desk.arranged import booked, opened, patient
from ui import birth_dates
from ui.patient_search import numbers


@pytest.fixture(scope="module")
def known(clinic: Demo) -> tuple[Client, str]:
    client = clinic.client()
    who = patient(
        client, "El Quassimi", "Noufissa", birthDate="1984-02-29",
        telecom=[{"system": "phone", "value": "+212 661-987654"}],
        identifier=[{"system": "urn:test:cin", "value": "QX778899"}],
    )  # fmt: skip
    return client, who


def found(desk: Person, text: str) -> str:
    answer = desk.post("desk/search", {"q": text}, htmx=True)
    assert answer.status_code == 200
    return str(answer.text)


@pytest.mark.parametrize("typed", [
    "noufiss", "NOUFISSA", "quassimi", "el quass", "noufissa quassimi", "quass nouf", "noufissa 1984",
    "quassimi 29/02/1984", "qx7788", "QX778899", "0661987", "06 61 98 76 54", "+212661987654", "00212661987654", "661987", "7654",
])  # fmt: skip
def test_a_patient_is_found_by_what_people_say(clinic: Demo, known: tuple[Client, str], typed: str) -> None:
    assert f"patients/{known[1]}" in found(clinic.person("receptionist"), typed)


@pytest.mark.parametrize("typed", ["noufissa 1985", "quassimi zzz", "0661988", "28/02/1984", "9876540"])
def test_and_nobody_else(clinic: Demo, known: tuple[Client, str], typed: str) -> None:
    page = found(clinic.person("receptionist"), typed)
    assert f"patients/{known[1]}" not in page


def test_a_hit_shows_what_tells_people_apart(clinic: Demo, known: tuple[Client, str]) -> None:
    client, who = opened(clinic), known[1]
    booked(client, who)
    page = found(clinic.person("receptionist"), "noufissa quass")
    assert "29/02/1984" in page and "…7654" in page and "QX778899" in page and 'role="option"' in page
    assert "987654" not in page.replace("…7654", "")


@pytest.mark.parametrize("typed", ["", " ", "x", "é", "12", "'", '"', "\\", "%%", "-", "؟", "\u0651"])
def test_too_little_asks_nobody(clinic: Demo, typed: str) -> None:
    assert 'role="option"' not in found(clinic.person("receptionist"), typed)


@pytest.mark.parametrize("typed", [
    'nou"fissa', "nou\\fissa", "nou) or (name sw n", 'x" or name sw "n', "nou,fissa|$", "a" * 10_000, "<script>alert(1)</script>",
    "' or 1=1 --", "نوف", "ab " * 40, "0" * 90, "\x00ab", "31/02/1984",
])  # fmt: skip
def test_whatever_is_typed_is_text(clinic: Demo, known: tuple[Client, str], typed: str) -> None:
    page = found(clinic.person("receptionist"), typed)
    assert "<script>alert" not in page and f"patients/{known[1]}" not in page


def test_the_search_is_a_page_without_scripts_and_never_in_the_address(clinic: Demo, known: tuple[Client, str]) -> None:
    desk = clinic.person("receptionist")
    page = desk.post("desk/search", {"q": "quassimi"})
    assert "<html" in page.text and f"patients/{known[1]}" in page.text
    assert desk.get("desk/search?q=quassimi").status_code in (404, 405)


def test_numbers_are_looked_for_as_they_may_be_stored() -> None:
    assert numbers("0612", "MA") == ["0612", "2120612", "212612"]
    assert numbers("00212612", "MA") == ["00212612", "212612"]
    assert numbers("771234567", "SN") == ["771234567", "221771234567"]
    assert numbers("612", "") == ["612"]


@pytest.mark.parametrize(("typed", "date"), [
    ("24/11/1980", "1980-11-24"), ("4.1.1980", "1980-01-04"), ("24111980", "1980-11-24"), ("1980", "1980"),
    ("1980-11-24", "1980-11-24"), ("11/1980", "1980-11"), ("٢٤/١١/١٩٨٠", "1980-11-24"), ("31/02/1980", ""), ("13/1980", ""),
    ("24/11/80", ""), ("hier", ""), ("", ""),
])  # fmt: skip
def test_dates_of_birth_as_people_type_them(typed: str, date: str) -> None:
    assert birth_dates.read_partial(typed) == date
    assert birth_dates.shown(date) in (typed, birth_dates.shown(date))
