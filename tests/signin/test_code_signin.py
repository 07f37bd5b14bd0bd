"""Signing in by a code: for patients without password, and telling nobody who has an account."""

import re
import secrets
from typing import Any

import pytest

from fhir_server.security import accounts, guests
from fhir_server.storage.accounts import Account
from tests.features.scheduling.clinic_day import Practice, in_days
from tests.features.scheduling.visitor import Visitor, code_for, mails, out, texts
from tests.signin.conftest import Browser, Clinic, Page, query_of


def patient(clinic: Clinic, email: str = "", phone: str = "") -> Account:
    """A person who registered by a code."""
    db = clinic.enter()
    made = accounts.create_proved(
        db, clinic.tenant.id, email=email, phone=phone, name="Sara", language="fr", patient_id=f"p{secrets.token_hex(4)}"
    )
    db.commit()
    return made


def fresh() -> str:
    return f"c{secrets.token_hex(6)}@mail.example"


def mobile() -> str:
    return f"+21261{secrets.randbelow(10**7):07d}"


def ask(person: Browser, address: str, query: str = "") -> Page:
    page = person.get(f"code{query}")
    return person.submit(page.form("/code"), username=address)


def enter(person: Browser, page: Page, code: str) -> Page:
    return person.submit(page.form("/code/check"), code=code)


def test_by_mail_and_back_to_where_one_came_from(clinic: Clinic) -> None:
    email, person = fresh(), clinic.browser()
    patient(clinic, email)
    target = f"/t/{clinic.tenant.slug}/ui/portal/"
    login = person.get(f"login?return_to={target}")
    link = re.search(r'href="([^"]*/oauth/code[^"]*)"', login.text)
    assert link is not None and query_of(link[1])["return_to"] == target
    page = person.get(link[1])
    page = person.submit(page.form("/code"), username=f" {email.upper()} ")
    assert page.status == 200 and email in page.text
    done = enter(person, page, code_for(clinic.tenant, email))
    assert (done.status, done.headers["Location"]) == (303, target)
    assert person.get("account").status == 200
    assert clinic.events()[-1] == "login"


def test_by_telephone(clinic: Clinic) -> None:
    number, person = mobile(), clinic.browser()
    patient(clinic, phone=number)
    page = ask(person, number.replace("+212", "+212 "))
    assert enter(person, page, code_for(clinic.tenant, number)).status == 303
    assert person.get("account").status == 200


@pytest.mark.parametrize("kind", ["nobody", "nurse", "password", "disabled"])
def test_no_code_goes_out_and_nothing_shows_it(clinic: Clinic, kind: str) -> None:
    known, email, person = fresh(), fresh(), clinic.browser()
    patient(clinic, known)
    db = clinic.enter()
    if kind in ("nurse", "password"):
        role, more = ("nurse", {}) if kind == "nurse" else ("patient", {"patients": ("p1",)})
        accounts.create(db, clinic.tenant.id, email=email, role=role, password="rivage-lampe-ortie-42", **more)  # type: ignore[arg-type]
    elif kind == "disabled":
        made = patient(clinic, email)
        db = clinic.enter()
        accounts.disable(db, clinic.tenant.id, made)
    db.commit()
    pages = [ask(each, address) for each, address in ((person, email), (clinic.browser(), known))]
    said = [re.sub(r'value="[^"]*"|csrf', "", page.text).replace(address, "") for page, address in zip(pages, (email, known), strict=True)]
    assert said[0] == said[1]
    assert [each.to for each in mails(clinic.tenant)[-2:]] == ["", known]
    digits = re.search(r"\d{6}", mails(clinic.tenant)[-2].body)
    assert digits is not None
    wrong = enter(person, pages[0], digits[0])
    assert wrong.status == 403 and person.get("account").status == 303


def test_a_code_is_good_once_and_here_only(clinic: Clinic) -> None:
    email, person, other = fresh(), clinic.browser(), clinic.browser()
    patient(clinic, email)
    page, theirs = ask(person, email), other.get("code")
    code = code_for(clinic.tenant, email)
    form = {**page.form("/code/check"), "fields": {**page.form("/code/check")["fields"], "csrf": theirs.form("/code")["fields"]["csrf"]}}
    assert other.submit(form, code=code).status == 403
    # Somebody else who asks for codes to the address does not end the person's own.
    ask(other, email)
    assert enter(person, page, code).status == 303
    again = clinic.browser()
    assert enter(again, ask(again, fresh()), code).status == 403


def test_guessing_ends(clinic: Clinic) -> None:
    email, person = fresh(), clinic.browser()
    patient(clinic, email)
    page = ask(person, email)
    right = code_for(clinic.tenant, email)
    for _ in range(5):
        page = enter(person, page, f"{(int(right) + 7) % 10**6:06d}")
        assert page.status == 403
    assert enter(person, page, right).status == 403


@pytest.mark.usefixtures("one_window")
def test_few_codes_go_to_one_address(clinic: Clinic) -> None:
    email = fresh()
    patient(clinic, email)
    assert [ask(clinic.browser(), email).status for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize("text", ["", "x", "12", "a@b", "0" * 5000, "+212 5 37 00 00 00", "a@b\x00.ma", "'; --"])
def test_what_is_no_address(clinic: Clinic, text: str) -> None:
    page = ask(clinic.browser(), text)
    assert page.status == 422 and page.parsed.alert
    person = clinic.browser()
    form = person.get("code").form("/code")
    checked = person.request("POST", "code/check", {**form["fields"], "username": text, "code": "123456"})
    assert checked.status == 303


@pytest.mark.parametrize("lang", ["fr", "en", "es", "ar"])
def test_pages_speak(clinic: Clinic, lang: str) -> None:
    person = clinic.browser()
    page = person.get(f"code?lang={lang}")
    assert page.status == 200 and page.parsed.attributes["lang"] == lang
    if lang != "en":
        assert "Sign in with a code" not in page.text
        assert "on its way" not in person.submit(page.form("/code"), username=fresh()).text


# -- after a booking ---------------------------------------------------------------------------------------------------


@pytest.fixture
def proved(clinic: Clinic) -> tuple[Browser, dict[str, Any]]:
    """A browser that just proved an address by $prove, and what that answered."""
    person, email = clinic.browser(), fresh()
    person.get("login")
    from hashlib import sha256

    visitor = Visitor(clinic.tenant, holder=sha256(person.session.encode()).digest())
    practice = Practice(clinic.tenant.client())
    held = visitor.hold(practice.proposal(in_days(3))["id"])
    visitor.register(email=email)
    return person, out(visitor.prove(code_for(clinic.tenant, email), held["id"]))


def test_a_ticket_signs_its_browser_in_once(clinic: Clinic, proved: tuple[Browser, dict[str, Any]]) -> None:
    person, done = proved
    thief, target = clinic.browser(), f"/t/{clinic.tenant.slug}/ui/booking/done/x"
    stolen = thief.get(f"guest?ticket={done['ticket']}&return_to={target}")
    assert stolen.status == 303 and "/oauth/login" in stolen.headers["Location"]
    assert thief.get("account").status == 303
    before = person.session
    used = person.get(f"guest?ticket={done['ticket']}&return_to={target}")
    assert (used.status, used.headers["Location"]) == (303, target)
    assert person.session != before and person.get("account").status == 200
    person.cookies.clear()
    person.cookies[f"salam-{clinic.tenant.slug}"] = before
    assert "/oauth/login" in person.get(f"guest?ticket={done['ticket']}").headers["Location"]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/t/other/ui/", "/\\evil", ""])
def test_a_ticket_leads_nowhere_else(clinic: Clinic, proved: tuple[Browser, dict[str, Any]], target: str) -> None:
    person, done = proved
    used = person.get(f"guest?ticket={done['ticket']}&return_to={target}")
    assert used.headers["Location"] == f"/t/{clinic.tenant.slug}/oauth/account"


def test_no_ticket_no_sign_in(clinic: Clinic) -> None:
    person = clinic.browser()
    for query in ("", "?ticket=", "?ticket=x", f"?ticket={'x' * 5000}"):
        assert "/oauth/login" in person.get(f"guest{query}").headers["Location"]


# -- tokens for booking pages elsewhere --------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_window")
def test_a_widget_gets_a_guests_token(clinic: Clinic) -> None:
    import json

    from tests.client import Client

    person = clinic.browser()
    answer = person.request("POST", "guest-token", {})
    given = json.loads(answer.text)
    assert answer.status == 200 and given["token_type"] == "Bearer" and answer.headers["Cache-Control"] == "no-store"
    widget = Client(clinic.tenant.slug, given["access_token"])
    assert widget.get("HealthcareService/$directory").status == 200
    assert widget.get("Patient").status == 403
    assert person.get("guest-token").status == 405
    refused = [person.request("POST", "guest-token", {}).status for _ in range(35)]
    assert refused[-1] == 429
    assert person.request("POST", "../../no-such/oauth/guest-token", {}).status == 404
    assert guests.SECONDS // 2 == given["expires_in"]


def test_texts_of_sms_are_short(clinic: Clinic) -> None:
    number = mobile()
    patient(clinic, phone=number)
    ask(clinic.browser(), number)
    assert len(texts(clinic.tenant)[-1].text) <= 160
