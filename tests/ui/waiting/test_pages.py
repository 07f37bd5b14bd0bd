"""The board and the kiosk over HTTP: who gets in, what they are told, and what a kiosk gives."""

import json
import re
from html import unescape
from typing import Any

import pytest
from babel.messages.pofile import read_po

from tests.client import Client
from tests.features.queue.place import plain
from tests.ui.conftest import Demo, Person
from ui.texts import FOLDER
from ui.waiting import board, kiosk

QUEUE = "HealthcareService/demo-queue"


@pytest.fixture(scope="module")
def staff(clinic: Demo) -> Client:
    return clinic.client()


def data(answer: Any, name: str) -> Any:
    """A value that a page carries for its script."""
    found = re.search(rf'data-{name}="([^"]*)"', answer.text)
    assert found is not None, answer.text[:500]
    return json.loads(unescape(found[1]))


def ask(person: Person, **said: Any) -> Any:
    """A ticket, as the kiosk's script asks for one."""
    headers = {"X-CSRF": person.csrf} if said.pop("csrf", True) else {}
    return person.http.post(f"{person.base}/kiosk/ticket", json=said, headers=headers)


# -- who gets in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["board/", "kiosk/"])
def test_a_screen_that_is_not_paired_is_shown_where_to_type_the_code(clinic: Demo, path: str) -> None:
    answer = clinic.person().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/t/{clinic.slug}/oauth/device")
    now = clinic.person().get(f"{path}now")
    assert (now.status_code, now.json["pair"]) == (401, f"/t/{clinic.slug}/oauth/device")


@pytest.mark.parametrize(("role", "path"), [
    ("board", "kiosk/"), ("kiosk", "board/"), ("patient", "board/"), ("patient", "kiosk/"), ("billing", "board/?device=demo-board"),
    ("receptionist", "board/"), ("receptionist", "board/?device=nowhere"), ("patient", "board/?device=demo-board"), ("board", "kiosk/now"),
])  # fmt: skip
def test_others_find_nothing(clinic: Demo, role: str, path: str) -> None:
    assert clinic.person(role).get(path).status_code == 404


def test_staff_look_at_what_a_board_shows(clinic: Demo) -> None:
    answer = clinic.person("receptionist").get("board/?device=demo-board")
    assert answer.status_code == 200 and data(answer, "shown")["queues"][0]["queue"] == QUEUE


@pytest.mark.parametrize(("role", "path"), [("board", "desk/"), ("board", "doctor/"), ("kiosk", "portal/"), ("kiosk", "console/"), ("board", "manage/")])
def test_a_device_has_no_other_room(clinic: Demo, role: str, path: str) -> None:
    assert clinic.person(role).get(path).status_code == 404


def test_pairing_by_link_and_by_hand(clinic: Demo, staff: Client) -> None:
    made = staff.create({
        "resourceType": "Device", "status": "active", "location": {"reference": "Location/demo-anfa"},
        "type": {"coding": [{"system": "urn:salam:CodeSystem:device-kind", "code": "board"}]},
    })["id"]  # fmt: skip
    offered = plain(staff.post(f"Device/{made}/$pair").json)
    screen, path = clinic.person(), f"/t/{clinic.slug}/oauth/device"
    # Programs open links, too: that uses nothing up.
    for _ in range(3):
        shown = screen.get(f"{path}?code={offered['code']}")
        assert shown.status_code == 200 and offered["code"] in shown.text
    csrf = re.search(r'name="csrf" value="([^"]+)"', shown.text)
    assert csrf is not None
    assert screen.http.post(path, data={"code": offered["code"]}).status_code == 403
    wrong = screen.http.post(path, data={"code": "AAAA-AAAA", "csrf": csrf[1]})
    assert wrong.status_code == 403 and "AAAA-AAAA" in wrong.text
    done = screen.http.post(path, data={"code": offered["code"].lower(), "csrf": csrf[1]})
    assert (done.status_code, done.headers["Location"]) == (303, f"/t/{clinic.slug}/ui/board/")
    assert "Max-Age=31536000" in done.headers["Set-Cookie"] and "HttpOnly" in done.headers["Set-Cookie"]
    assert screen.get("board/").status_code == 200
    second = clinic.person()
    csrf = re.search(r'name="csrf" value="([^"]+)"', second.get(path).text)
    assert csrf is not None and second.http.post(path, data={"code": offered["code"], "csrf": csrf[1]}).status_code == 403
    staff.post(f"Device/{made}/$unpair")
    assert (screen.get("board/").status_code, screen.get("board/now").status_code) == (303, 401)


@pytest.mark.usefixtures("one_window")
def test_pairing_codes_cannot_be_tried_one_after_the_other(clinic: Demo) -> None:
    screen, path = clinic.person(), f"/t/{clinic.slug}/oauth/device"
    csrf = re.search(r'name="csrf" value="([^"]+)"', screen.get(path).text)
    assert csrf is not None
    statuses = [
        screen.http.post(path, data={"code": f"BBBB-{n:04}", "csrf": csrf[1]}, environ_base={"REMOTE_ADDR": "198.51.100.7"}).status_code
        for n in range(12)
    ]
    assert statuses == [403] * 10 + [429] * 2


# -- the board ---------------------------------------------------------------------------------------------------------


def test_the_board_shows_numbers_and_no_names(clinic: Demo) -> None:
    screen = clinic.person("board")
    page = screen.get("board/")
    shown = data(page, "shown")
    assert shown["place"] and len(shown["queues"]) == 2 and shown["calls"] and shown["ahead"] in (0, 60)
    assert "Patient/" not in page.text and "Task/" not in page.text
    again = screen.get(f"board/now?stamp={shown['stamp']}").json
    assert again["version"] == re.search(r'data-version="(\w+)"', page.text)[1]  # type: ignore[index]
    assert screen.get("board/now").json["calls"] == shown["calls"]
    assert len(page.data) < 30_000


def test_what_people_write_is_not_html(clinic: Demo, staff: Client) -> None:
    message = '"><script>alert(1)</script>' + "x" * 270
    body = {"resourceType": "Parameters", "parameter": [{"name": "message", "valueString": message}]}
    assert staff.post("HealthcareService/demo-laboratory/$pause", body).status == 200
    page = clinic.person("board").get("board/")
    staff.post("HealthcareService/demo-laboratory/$resume")
    assert "<script>alert" not in page.text
    assert data(page, "shown")["queues"][1]["message"] == message


# -- the kiosk ---------------------------------------------------------------------------------------------------------


def test_a_ticket_with_its_code(clinic: Demo) -> None:
    first = ask(clinic.person("kiosk"), queue=QUEUE, language="ar", key="tap-1")
    assert first.status_code == 200, first.text
    slip = first.json
    assert slip["number"].startswith("A-") and slip["qr"].startswith("data:image/svg+xml") and slip["position"] >= 1
    assert ask(clinic.person("kiosk"), queue=QUEUE, language="ar", key="tap-1").json == slip
    secret = slip["url"].rpartition("/")[2]
    assert clinic.person().http.get(f"/t/{clinic.slug}/tickets/{secret}").json["number"] == slip["number"]


@pytest.mark.parametrize(("said", "status", "problem"), [
    ({"phone": "0612345678", "birthDate": "1931-01-01"}, 404, "unknown"), ({"code": "nothing"}, 404, "unknown"),
    ({"queue": "HealthcareService/demo-cardiology"}, 404, "failed"), ({"queue": "Patient/demo-0001"}, 404, "failed"), ({}, 400, "failed"),
    ({"phone": "0612345678", "birthDate": "31.1.1980"}, 422, "failed"), ({"queue": QUEUE, "code": "x"}, 400, "failed"),
])  # fmt: skip
def test_refusals_are_words_of_the_page(clinic: Demo, said: dict[str, str], status: int, problem: str) -> None:
    answer = ask(clinic.person("kiosk"), **said)
    assert (answer.status_code, answer.json) == (status, {"problem": problem})
    assert problem in kiosk.WORDS


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"queue": 1}', b'{"queue": {"a": "b"}}', b"\xff"])
def test_nonsense_is_a_refusal(clinic: Demo, body: bytes) -> None:
    person = clinic.person("kiosk")
    answer = person.http.post(f"{person.base}/kiosk/ticket", data=body, content_type="application/json", headers={"X-CSRF": person.csrf})
    assert answer.status_code == 400 and answer.json == {"problem": "failed"}


def test_a_ticket_needs_the_token_of_the_session(clinic: Demo) -> None:
    assert ask(clinic.person("kiosk"), queue=QUEUE, csrf=False).status_code == 403


def test_a_kiosk_is_told_no_calls(clinic: Demo) -> None:
    assert "calls" not in clinic.person("kiosk").get("kiosk/now").json


def test_what_is_scanned_is_in_no_address_and_no_log(clinic: Demo, capfd: pytest.CaptureFixture[str]) -> None:
    ask(clinic.person("kiosk"), phone="0698989898", birthDate="1941-02-03")
    written = "".join(capfd.readouterr())
    assert "98989898" not in written and "1941" not in written


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["fr", "es", "ar"])
def test_every_word_of_the_scripts_is_translated_with_its_marks(language: str) -> None:
    known = {}
    for path in (FOLDER / "waiting" / "locales" / f"{language}.po", FOLDER / "locales" / f"{language}.po"):
        with open(path, "rb") as file:
            known = {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id and not isinstance(m.id, tuple)} | known
    wrong = [s for s in (*board.WORDS.values(), *kiosk.WORDS.values()) if not known.get(s) or sorted(re.findall(r"{\w+}", s)) != sorted(re.findall(r"{\w+}", known[s]))]
    # A spoken sentence may leave out that somebody should come, but not who and where.
    assert wrong == []


def test_every_word_that_a_page_asks_for_is_there() -> None:
    for name, words in (("board", board.WORDS), ("kiosk", kiosk.WORDS)):
        html = (FOLDER / "waiting" / "templates" / "waiting" / f"{name}.html").read_text()
        script = (FOLDER / "waiting" / "static" / f"{name}.js").read_text()
        asked = {*re.findall(r'data-(?:say|label)="(\w+)"', html), *re.findall(r'\bsay\("(\w+)"', script), *re.findall(r"\btext\.(\w+)", script)}
        assert asked - set(words) - {"replaceAll"} == set()
