"""Ways to a password without knowing one: reset by code, invitation by link."""

import re

import pytest

from fhir_server.security import accounts, codes
from tests.signin.conftest import PASSWORD, Browser, Clinic, Page

NEW = "tortue-nuage-citron-18"


def _ask(browser: Browser, email: str) -> Page:
    return browser.submit(browser.get("reset").form("/reset"), username=email)



def test_a_code_gives_a_new_password_and_ends_everything(clinic: Clinic) -> None:  # smart-117
    person = clinic.person("forgot")
    old = clinic.browser()
    old.sign_in(person.email)
    grant = clinic.app(person)
    browser = clinic.browser()
    page = _ask(browser, " Forgot@clinic.example")
    assert page.status == 200 and page.forms[0]["fields"]["username"] == person.email
    done = browser.submit(page.forms[0], code=clinic.code(person.email), password=NEW)
    assert done.status == 303 and done.headers["Location"].endswith("login?done=password")
    assert old.get("account").status == 303 and not clinic.live(grant)
    assert browser.get("account").status == 303, "the code does not sign in"
    assert clinic.browser().sign_in(person.email).status == 403
    assert clinic.browser().sign_in(person.email, NEW).status == 303
    assert "mot de passe" in clinic.mails(person.email)[-1]


def test_asking_tells_nothing_about_accounts(clinic: Clinic) -> None:  # sec: user enumeration
    clinic.person("asked")
    off = clinic.person("asked-off")
    clinic.person("asked-later", password=None)
    db = clinic.enter()
    accounts.disable(db, clinic.tenant.id, off)
    db.commit()
    pages = {}
    for name in ("asked", "asked-off", "asked-later", "asked-nobody"):
        page = _ask(clinic.browser(), f"{name}@clinic.example")
        wrong = clinic.browser()
        form = _ask(wrong, f"{name}@clinic.example").forms[0]
        tried = wrong.submit(form, code="123456", password=NEW)
        pages[name] = tuple(
            (p.status, re.sub(r'value="[^"]*"', "", p.text.replace(name, "X"))) for p in (page, tried)
        )
    assert len(set(pages.values())) == 1
    for name in ("asked-off", "asked-later", "asked-nobody"):
        assert clinic.mails(f"{name}@clinic.example") == []
    assert len(clinic.mails("asked@clinic.example")) == 2
    rows = clinic.sql("SELECT count(*) FROM mail WHERE tenant_id = $1 AND sent_at IS NULL")
    assert rows == [(b"0",)]


def test_attempts_are_counted(clinic: Clinic) -> None:  # smart-244
    person = clinic.person("guessed")
    browser = clinic.browser()
    page = _ask(browser, person.email)
    code = clinic.code(person.email)
    for i in range(5):
        answer = browser.submit(page.forms[0], code=f"{(int(code) + 1 + i) % 1_000_000:06d}", password=NEW)
        assert answer.status == 403
    assert browser.submit(page.forms[0], code=code, password=NEW).status == 403
    statuses = [_ask(clinic.browser(), person.email).status for _ in range(6)]
    assert 429 in statuses


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "trop court"),
        ("password123456", "parmi les premiers"),
        ("weak@clinic.example", "nom ou de votre adresse"),
        ("x" * 300, "trop long"),
    ],
)
def test_weak_passwords_are_refused_before_the_code_is_used(clinic: Clinic, password: str, words: str) -> None:
    if not clinic.sql("SELECT 1 FROM user_account WHERE tenant_id = $1 AND email = 'weak@clinic.example'"):
        clinic.person("weak")
    browser = clinic.browser()
    clinic.sql("DELETE FROM throttle WHERE tenant_id = $1 RETURNING 1")
    page = _ask(browser, "weak@clinic.example")
    if page.status == 429:
        pytest.fail("the limit is five in a quarter of an hour")
    code = clinic.code("weak@clinic.example")
    answer = browser.submit(page.forms[0], code=code, password=password)
    assert answer.status == 422 and words in answer.parsed.alert
    assert answer.forms[0]["fields"]["code"] == code
    assert "password" not in answer.forms[0]["fields"] or not answer.forms[0]["fields"]["password"]


def test_the_second_factor_stays_asked_after_a_reset(clinic: Clinic) -> None:
    from tests.signin.test_factors import _enrol

    person = clinic.person("careful")
    browser = clinic.browser()
    browser.sign_in(person.email)
    _enrol(browser)
    fresh = clinic.browser()
    page = _ask(fresh, person.email)
    fresh.submit(page.forms[0], code=clinic.code(person.email), password=NEW)
    assert "/second-factor?" in fresh.sign_in(person.email, NEW).headers["Location"]


def _invited(clinic: Clinic, name: str) -> str:
    db = clinic.enter()
    made = accounts.create(db, clinic.tenant.id, email=f"{name}@clinic.example", role="nurse")
    token = codes.invite(db, clinic.tenant.id, made.id)
    db.commit()
    return token


def test_an_invitation_opens_the_account_once(clinic: Clinic) -> None:
    token = _invited(clinic, "new")
    assert len(token.partition(".")[2]) == 43, "256 bits"
    browser = clinic.browser()
    page = browser.get(f"invitation?token={token}")
    assert page.status == 200 and "new@clinic.example" in page.text
    assert browser.submit(page.forms[0], name="Nadia", password="too short").status == 422
    before = browser.session
    done = browser.submit(page.forms[0], name=" Nadia \x00 Amrani ", password=NEW)
    assert done.status == 303 and browser.session != before
    assert "Nadia Amrani" in browser.follow(done).text
    made = clinic.account("new")
    assert made.status == "active" and made.verified and made.name == "Nadia Amrani"
    late = clinic.browser()
    assert late.get(f"invitation?token={token}").status == 404
    assert late.submit(page.forms[0], name="Eve", password=PASSWORD).status in (403, 404)
    assert clinic.browser().sign_in("new@clinic.example", NEW).status == 303


def test_invitations_that_are_not_good(clinic: Clinic, new_clinic: Clinic) -> None:
    token = _invited(clinic, "guest")
    user, _, value = token.partition(".")
    for bad in ("", "x", f"{user}.{'A' * 43}", f"{'0' * 32}.{value}", f"{user}.{value}x", f"{user}."):
        assert clinic.browser().get(f"invitation?token={bad}").status == 404
    assert new_clinic.browser().get(f"invitation?token={token}").status == 404
    clinic.sql("UPDATE user_code SET expires_at = now() WHERE tenant_id = $1 AND user_id = $2 RETURNING 1", user)
    assert clinic.browser().get(f"invitation?token={token}").status == 404


def test_a_newer_invitation_replaces_the_older_and_disabling_ends_it(clinic: Clinic) -> None:
    old = _invited(clinic, "twice")
    account = clinic.account("twice")
    db = clinic.enter()
    new = codes.invite(db, clinic.tenant.id, account.id)
    db.commit()
    browser = clinic.browser()
    assert browser.get(f"invitation?token={old}").status == 404
    page = browser.get(f"invitation?token={new}")
    db = clinic.enter()
    accounts.disable(db, clinic.tenant.id, account)
    db.commit()
    assert browser.submit(page.forms[0], name="T", password=NEW).status == 404
    assert clinic.account("twice").status == "disabled"
