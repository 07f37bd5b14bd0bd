"""The page behind a ticket's secret link: everything of the ticket, nothing of who or why, and small."""

import gzip
import json
import re
from html import unescape
from typing import Any

import pytest

from tests.ui.conftest import Demo
from tests.ui.portal.people import HTML, parameters, patient
from ui.files import _file, _path


def link(clinic: Demo, **more: Any) -> tuple[str, str]:
    """(id of the Task, secret) of a new ticket."""
    client = clinic.client()
    given = [{"name": name, **value} for name, value in more.items()]
    task = client.post("HealthcareService/demo-queue/$take-ticket", parameters(*given)).id
    url = client.post(f"Task/{task}/$ticket-link").json["parameter"][0]["valueUrl"]
    return task, str(url).rpartition("/")[2]


def text_of(answer: Any) -> str:
    """The text of a page, without its markup."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL)))
    )


def test_number_state_place_and_minutes_stand_there_without_any_script(clinic: Demo) -> None:
    _, secret = link(clinic)
    answer = clinic.person().get(f"ticket/{secret}")
    assert answer.status_code == 200
    said = text_of(answer)
    assert re.search(r"A-\d{3}", said) and "Vous attendez votre tour" in said
    assert re.search(r"\d+ personnes? avant vous|vous êtes en tête", said) and re.search(r"entre \d+ et \d+ min", said)
    assert '<noscript><meta http-equiv="refresh"' in answer.text


def test_it_says_nothing_of_who_and_why_and_is_not_found_by_search_engines(clinic: Demo) -> None:
    known = patient(clinic, given="Zoulikha", family="Benkirane")
    _, secret = link(
        clinic,
        patient={"valueReference": {"reference": known.reference}},
        kind={"valueCode": "emergency"},
        reason={"valueString": "Douleur"},
    )
    answer = clinic.person().get(f"ticket/{secret}")
    for word in ("Zoulikha", "Benkirane", "BENKIRANE", known.id, "Douleur", "emergency", "urgence médicale"):
        assert word not in answer.text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow" and answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store" and 'name="robots" content="noindex"' in answer.text


@pytest.mark.parametrize("secret", ["x", "A" * 16, "%00", "é" * 40, "x" * 3000, HTML.replace("/", "")])
def test_a_wrong_link_is_told_so_kindly(clinic: Demo, secret: str) -> None:
    answer = clinic.person().get(f"ticket/{secret}")
    assert answer.status_code == 404 and "Ce ticket est introuvable" in answer.text and "onerror" not in answer.text


def test_another_clinics_link_leads_nowhere(clinic: Demo, new_tenant: Any) -> None:
    _, secret = link(clinic)
    other = new_tenant()
    assert clinic.person().get(f"/t/{other.slug}/ui/ticket/{secret}").status_code == 404
    assert clinic.person().get(f"/t/nowhere/ui/ticket/{secret}").status_code == 404


def test_a_browser_that_opens_the_bare_link_gets_the_page_and_a_program_json(clinic: Demo) -> None:
    _, secret = link(clinic)
    visitor = clinic.person()
    page = visitor.get(f"/t/{clinic.slug}/tickets/{secret}", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert page.status_code == 303 and page.headers["Location"] == f"/t/{clinic.slug}/ui/ticket/{secret}"
    assert visitor.get(f"/t/{clinic.slug}/tickets/{secret}", Accept="application/json").json["state"] == "waiting"


def test_who_is_called_is_told_where_to_go(clinic: Demo) -> None:
    task, secret = link(clinic)
    clinic.client().post(
        f"Task/{task}/$call",
        parameters({"name": "reason", "valueString": "test"}, {"name": "desk", "valueString": f"Cabinet {HTML}"}),
    )
    answer = clinic.person().get(f"ticket/{secret}")
    assert (
        "C’est à vous" in text_of(answer)
        and "is-called" in answer.text
        and "Cabinet" in text_of(answer)
        and HTML not in answer.text
    )


def test_a_ticket_is_given_back_once_and_for_all(clinic: Demo) -> None:
    task, secret = link(clinic)
    visitor = clinic.person()
    page = visitor.get(f"ticket/{secret}")
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token
    assert visitor.post(f"ticket/{secret}/give-back", {"csrf": "wrong"}, csrf=False).status_code == 403
    for _ in range(2):
        assert visitor.post(f"ticket/{secret}/give-back", {"csrf": token[1]}, csrf=False).status_code == 303
    after = visitor.get(f"ticket/{secret}")
    assert "Ce ticket a été rendu" in text_of(after) and "give-back" not in after.text
    assert clinic.client().get(f"Task/{task}").json["status"] == "cancelled"


@pytest.mark.parametrize(
    ("lang", "direction", "words"),
    [
        ("en", "ltr", "You are waiting for your turn"),
        ("es", "ltr", "Está esperando su turno"),
        ("ar", "rtl", "أنتم في انتظار دوركم"),
    ],
)
def test_it_speaks_the_language_of_the_phone(clinic: Demo, lang: str, direction: str, words: str) -> None:
    _, secret = link(clinic)
    answer = clinic.person().get(f"ticket/{secret}", lang=lang)
    assert f'lang="{lang}" dir="{direction}"' in answer.text and words in answer.text
    script = re.search(r'<script type="application/json" id="words">(.*?)</script>', answer.text, re.DOTALL)
    assert script
    ahead = json.loads(script[1])["ahead"]
    assert set(ahead) == ({"zero", "one", "two", "few", "many", "other"} if lang == "ar" else {"one", "other"})
    assert "{n}" in ahead["other"]


def test_the_script_and_the_page_say_the_same_for_every_number(clinic: Demo) -> None:
    from fhir_server.site import site
    from ui.portal.ticket import said, words

    with site.test_request_context(f"/t/{clinic.slug}/ui/ticket/x?lang=ar"):
        from fhir_server.authorization_server import browser

        browser.enter(clinic.slug)
        forms = words()["ahead"]
        for count, form in ((1, "one"), (2, "two"), (5, "few"), (11, "many"), (100, "other")):
            ticket = {
                "state": "waiting",
                "position": count + 1,
                "range": None,
                "desk": None,
                "queue": {"state": "open", "message": None},
            }
            assert said(ticket)["ahead"] == forms[form].replace("{n}", str(count))


def test_all_of_it_is_small(clinic: Demo) -> None:
    """What a phone loads: the page, two style sheets, two scripts. The real loading is measured in a browser."""
    _, secret = link(clinic)
    answer = clinic.person().get(f"ticket/{secret}")
    files = [_path(name) for name in re.findall(r"/ui/static/([\w./-]+)\?v=", answer.text)]
    size = len(gzip.compress(answer.data)) + sum(len(_file(path, 0).zipped or b"") for path in files if path)
    assert len(files) == 3 and size < 12_000
