"""Signing in with a password: what is answered, what is remembered, what nobody can find out."""

import statistics
import time
from typing import Any

import pytest

from fhir_server.storage import web_sessions
from tests.signin.conftest import PASSWORD, Clinic, query_of


def test_the_right_password_signs_in_and_leads_back(clinic: Clinic) -> None:  # smart-41, smart-42
    clinic.person("amina", name="Amina")
    browser = clinic.browser()
    before = browser.get("login").form("/login") and browser.session
    answer = browser.sign_in("Amina@Clinic.example ", query=f"?return_to=/t/{clinic.tenant.slug}/oauth/authorize%3Fa=b%26c=d")
    assert answer.status == 303
    assert answer.headers["Location"] == f"/t/{clinic.tenant.slug}/oauth/authorize?a=b&c=d"
    assert browser.session not in ("", before), "a session id from before signing in is none after it"
    assert "Amina" in browser.follow(browser.get("account")).text
    stored = clinic.sql("SELECT encode(hash, 'hex') FROM web_session WHERE tenant_id = $1")
    assert all(browser.session.encode() not in (row[0] or b"") for row in stored)


def test_fields_are_named_as_the_contract_says(clinic: Clinic) -> None:
    page = clinic.browser().get("login")
    assert {"username", "password", "csrf"} <= set(page.form("/login")["fields"])
    for mark in ('autocomplete="username"', 'autocomplete="current-password"', 'label for="username"', 'lang="fr"'):
        assert mark in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("farid@clinic.example", "wrong password here", id="wrong-password"),
        pytest.param("nobody@clinic.example", PASSWORD, id="no-account"),
        pytest.param("off@clinic.example", PASSWORD, id="disabled-smart-45"),
        pytest.param("later@clinic.example", "", id="invited"),
        pytest.param("", "", id="empty"),
        pytest.param("x" * 5000, "y" * 5000, id="endless"),
        pytest.param("a\x00b@clinic.example", "p\x00", id="nul"),
    ],
)
def test_refusals_are_alike(clinic: Clinic, name: str, password: str, people: None) -> None:
    browser = clinic.browser(address="192.0.2.77")
    answer = browser.sign_in(name, password)
    assert answer.status == 403
    assert "L’adresse e-mail ou le mot de passe n’est pas correct." in answer.parsed.alert
    assert browser.get("account").status == 303


@pytest.fixture(scope="module")
def people(clinic: Clinic) -> None:
    from fhir_server.security import accounts

    clinic.person("farid")
    off = clinic.person("off")
    clinic.person("later", password=None)
    db = clinic.enter()
    accounts.disable(db, clinic.tenant.id, off)
    db.commit()


def test_nobody_can_time_who_has_an_account(clinic: Clinic, people: None) -> None:  # sec: user enumeration
    def took(name: str, i: int) -> float:
        browser = clinic.browser(address=f"192.0.2.{i % 200}")
        form = browser.get("login").form("/login")
        started = time.process_time()
        assert browser.submit(form, username=name, password=f"wrong wrong {i}").status == 403
        return time.process_time() - started

    known = [took("farid@clinic.example", i) for i in range(12)]
    unknown = [took(f"nobody{i}@clinic.example", i + 100) for i in range(12)]
    ratio = statistics.median(known) / statistics.median(unknown)
    assert 0.6 < ratio < 1.6, (known, unknown)


def test_asking_without_a_body_is_asking(clinic: Clinic) -> None:
    for path in ("login", "reset", "account"):
        assert clinic.browser().request("HEAD", path).status in (200, 303)


def test_a_form_without_its_token_is_refused(clinic: Clinic) -> None:  # smart-42, sec-T29
    clinic.person("csrf")
    browser = clinic.browser()
    form = browser.get("login").form("/login")
    for token in ("", "x", clinic.browser().get("login").form("/login")["fields"]["csrf"]):
        answer = browser.submit(form, username="csrf@clinic.example", password=PASSWORD, csrf=token)
        assert answer.status == 403 and answer.forms, "the form comes again, to be sent once more"
        assert browser.get("account").status == 303
    alone = clinic.browser().request("POST", "login", {"username": "csrf@clinic.example", "password": PASSWORD})
    assert alone.status == 403


def test_a_planted_cookie_is_no_session(clinic: Clinic) -> None:  # smart-42: fixation
    clinic.person("fixed")
    planted = "A" * 43
    browser = clinic.browser(cookies={f"salam-{clinic.tenant.slug}": planted})
    assert browser.sign_in("fixed@clinic.example").status == 303
    assert browser.session != planted
    thief = clinic.browser(cookies={f"salam-{clinic.tenant.slug}": planted})
    assert thief.get("account").status == 303


@pytest.mark.parametrize(
    "evil",
    [
        "//evil.example", "https://evil.example/t/x/oauth/", "/\\evil.example", "https:evil.example", "\\\\evil.example",
        "/t/{slug}/oauth/../../../evil", "/t/{slug}/oauth/%2e%2e/x", "/t/other/oauth/account", "javascript:alert(1)",
        "/t/{slug}/oauth/\r\nSet-Cookie: a=b", "/t/{slug}/oauth/%0d%0aX: y", "//t/{slug}/oauth/", "/t/{slug}/oauthx", "///evil",
        "http:///t/{slug}/oauth/", "/t/{slug}/oauth/\u0000", "@evil.example", "/t/{slug}/fhir/Patient", "[", "//[",
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere(clinic: Clinic, evil: str) -> None:  # sec-T26
    clinic.sql("SELECT 1 FROM tenant WHERE tenant_id = $1")
    browser = clinic.browser(address="192.0.2.9")
    home = f"/t/{clinic.tenant.slug}/oauth/account"
    page = browser.request("GET", "login?return_to=" + __import__("urllib.parse").parse.quote(evil.format(slug=clinic.tenant.slug)))
    if not clinic.sql("SELECT 1 FROM user_account WHERE tenant_id = $1 AND email = 'led@clinic.example'"):
        clinic.person("led")
    answer = browser.submit(page.form("/login"), username="led@clinic.example", password=PASSWORD)
    assert (answer.status, answer.headers["Location"]) == (303, home)


def test_a_good_return_is_kept_as_it_is(clinic: Clinic) -> None:
    from fhir_server.authorization_server.browser import safe_return

    good = f"/t/{clinic.tenant.slug}/oauth/authorize?redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=%7B%22a%22%3A1%7D&scope=a+b"
    assert safe_return(clinic.tenant.slug, good) == good


def test_a_fresh_sign_in_is_asked_and_moves_the_session_on(clinic: Clinic) -> None:  # smart-38: prompt=login, max_age
    person = clinic.person("fresh")
    browser = clinic.browser()
    browser.sign_in("fresh@clinic.example")
    old = browser.session
    assert browser.get("login").status == 303, "whoever is signed in is not asked again"
    page = browser.get("login?fresh=1")
    assert page.status == 200 and page.form("/login")["fields"]["username"] == "fresh@clinic.example"
    from fhir_server.security.web_sessions import digest

    grant = clinic.app(person, digest(old))
    clinic.sql("UPDATE web_session SET auth_time = now() - interval '1 hour' WHERE tenant_id = $1 RETURNING 1")
    answer = browser.submit(page.form("/login"), username="fresh@clinic.example", password=PASSWORD)
    assert answer.status == 303 and browser.session != old
    times = clinic.sql("SELECT auth_time > now() - interval '1 minute' FROM web_session WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL", person.id)
    assert times == [(b"t",)]
    assert clinic.live(grant), "the same person goes on: what lives in the session goes along"
    clinic.person("other")
    browser.submit(browser.get("login?fresh=1").form("/login"), username="other@clinic.example", password=PASSWORD)
    assert not clinic.live(grant), "somebody else signed in"


def test_sessions_end_by_themselves(clinic: Clinic, monkeypatch: Any) -> None:
    person = clinic.person("idle")
    browser = clinic.browser()
    browser.sign_in("idle@clinic.example")
    where = "WHERE tenant_id = $1 AND user_id = $2 RETURNING 1"
    clinic.sql(f"UPDATE web_session SET last_seen_at = now() - interval '29 minutes' {where}", person.id)
    assert browser.get("account").status == 200
    rows = clinic.sql("SELECT last_seen_at > now() - interval '1 minute' FROM web_session WHERE tenant_id = $1 AND user_id = $2", person.id)
    assert rows == [(b"t",)], "each use begins the half hour anew"
    clinic.sql(f"UPDATE web_session SET last_seen_at = now() - interval '31 minutes' {where}", person.id)
    assert browser.get("account").status == 303
    browser.sign_in("idle@clinic.example")
    clinic.sql(f"UPDATE web_session SET expires_at = now() {where}", person.id)
    assert browser.get("account").status == 303
    assert web_sessions.find(clinic.enter(), clinic.tenant.id, b"x" * 32, 1800) is None


def test_another_tenants_session_is_none(clinic: Clinic, new_clinic: Clinic) -> None:  # smart-45: wrong tenant
    clinic.person("here")
    browser = clinic.browser()
    browser.sign_in("here@clinic.example")
    there = new_clinic.browser(cookies={f"salam-{new_clinic.tenant.slug}": browser.session})
    assert there.get("account").status == 303
    assert there.sign_in("here@clinic.example").status == 403


@pytest.mark.usefixtures("one_window")
def test_too_many_failures_wait_and_lock_nobody_else_out(clinic: Clinic) -> None:  # smart-244
    clinic.person("locked")
    attacker = clinic.browser(address="198.51.100.7")
    answers = [attacker.sign_in("locked@clinic.example", f"guess number {i}").status for i in range(11)]
    assert answers[:10] == [403] * 10 and answers[10] == 429
    page = attacker.sign_in("locked@clinic.example")
    assert page.status == 429 and int(page.headers["Retry-After"]) > 0 and "Patient" not in page.text
    assert clinic.browser(address="203.0.113.5").sign_in("locked@clinic.example").status == 303


def test_signing_in_and_out_is_in_the_audit_log(new_clinic: Clinic) -> None:  # smart-247
    new_clinic.person("seen")
    browser = new_clinic.browser()
    browser.sign_in("seen@clinic.example", "wrong wrong wrong")
    browser.sign_in("seen@clinic.example")
    browser.submit(browser.get("logout").form("/logout"))
    assert new_clinic.events() == ["user-created", "login-failed", "login", "logout"]


def test_signing_out_ends_what_lives_in_the_session(clinic: Clinic) -> None:  # smart-113
    from fhir_server.security.web_sessions import digest

    person = clinic.person("leaving")
    browser, elsewhere = clinic.browser(), clinic.browser()
    for each in (browser, elsewhere):
        each.sign_in("leaving@clinic.example")
    online, offline = clinic.app(person, digest(browser.session)), clinic.app(person)
    page = browser.get("logout")
    assert browser.request("POST", "logout", {}).status == 403, "another site cannot sign people out"
    answer = browser.submit(page.form("/logout"))
    assert answer.status == 303 and query_of(answer.headers["Location"]) == {"done": "logout"}
    assert browser.get("account").status == 303 and elsewhere.get("account").status == 200
    assert not clinic.live(online) and clinic.live(offline)
    browser.sign_in("leaving@clinic.example")
    browser.submit(browser.get("logout").form("/logout"), everywhere="1")
    assert elsewhere.get("account").status == 303


def test_an_old_hash_is_renewed_at_the_next_sign_in(clinic: Clinic) -> None:
    from argon2 import PasswordHasher

    person = clinic.person("old")
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    clinic.sql("UPDATE user_account SET password_hash = $3 WHERE tenant_id = $1 AND user_id = $2 RETURNING 1", person.id, weak)
    assert clinic.browser().sign_in("old@clinic.example").status == 303
    renewed = clinic.account("old").password_hash
    assert renewed is not None and renewed != weak and renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert clinic.browser().sign_in("old@clinic.example").status == 303


def test_a_suspended_tenant_looks_like_none(new_clinic: Clinic) -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    browser = new_clinic.browser()
    operator.set_status(session(), new_clinic.tenant.slug, "suspended")
    suspended = browser.get("login")
    nowhere = new_clinic.browser(cookies={}).request("GET", "/t/no-such-clinic/oauth/login")
    assert suspended.status == nowhere.status == 404
    assert suspended.text.replace(new_clinic.tenant.slug, "S") == nowhere.text.replace("no-such-clinic", "S")
