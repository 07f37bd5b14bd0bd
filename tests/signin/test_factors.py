"""Second factors: authenticator app, recovery codes, codes by mail, passkeys."""

import json
import re
import time
from typing import Any

import pyotp
import pytest

from tests.signin.authenticator import Authenticator
from tests.signin.conftest import ORIGIN, PASSWORD, Browser, Clinic


def _enrol(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Turn the authenticator app on: the app, and the recovery codes."""
    page = browser.get("account/totp")
    assert page.status == 200, page.headers.get("Location")
    secret = re.search(r'class="key" dir="ltr">([A-Z2-7 ]+)<', page.text)
    assert secret and 'src="data:image/svg+xml;base64,' in page.text
    app = pyotp.TOTP(secret[1].replace(" ", ""))
    done = browser.submit(page.form("totp"), code=app.now())
    assert done.status == 200, done.text
    return app, re.findall(r"<li>([A-Z2-7-]{19})</li>", done.text)


def _next(app: pyotp.TOTP) -> str:
    """The code after the present one, which the clock's tolerance allows."""
    return app.at(int(time.time()) + 30)


def _signed_in(browser: Browser) -> bool:
    return browser.get("account").status == 200


@pytest.fixture
def person(clinic: Clinic, request: pytest.FixtureRequest) -> str:
    """The address of a new account of the test's own."""
    name = re.sub(r"\W", "-", request.node.name)[:60]
    return clinic.person(name).email


def test_the_app_is_asked_after_the_password(clinic: Clinic, person: str) -> None:
    browser = clinic.browser()
    browser.sign_in(person)
    app, recovery = _enrol(browser)
    assert len(recovery) == len(set(recovery)) == 10
    fresh = clinic.browser()
    answer = fresh.sign_in(person, query=f"?return_to=/t/{clinic.tenant.slug}/oauth/authorize%3Fx=1")
    assert answer.status == 303 and "/second-factor?" in answer.headers["Location"]
    assert not _signed_in(fresh), "a password alone opens nothing"
    halfway = fresh.session
    page = fresh.follow(answer)
    assert fresh.submit(page.forms[0], code="000000").status == 403
    done = fresh.submit(page.forms[0], code=_next(app))
    assert done.status == 303 and done.headers["Location"].endswith("/oauth/authorize?x=1")
    assert _signed_in(fresh) and fresh.session != halfway
    amr = clinic.sql("SELECT to_json(amr) FROM web_session WHERE tenant_id = $1 AND NOT pending ORDER BY created_at DESC LIMIT 1")
    assert json.loads(amr[0][0] or b"") == ["pwd", "otp", "mfa"]


def test_a_code_counts_once(clinic: Clinic, person: str) -> None:
    browser = clinic.browser()
    browser.sign_in(person)
    app, _ = _enrol(browser)
    first, second = clinic.browser(), clinic.browser()
    page = first.follow(first.sign_in(person))
    code = _next(app)
    assert first.submit(page.forms[0], code=code).status == 303
    page = second.follow(second.sign_in(person))
    assert second.submit(page.forms[0], code=code).status == 403


def test_a_recovery_code_counts_once_and_is_told_by_mail(clinic: Clinic, person: str) -> None:
    browser = clinic.browser()
    browser.sign_in(person)
    _, recovery = _enrol(browser)
    fresh = clinic.browser()
    page = fresh.follow(fresh.sign_in(person))
    form = next(form for form in page.forms if "recovery" in form["fields"])
    assert fresh.submit(form, recovery="AAAA-AAAA-AAAA-AAAA").status == 403
    assert fresh.submit(form, recovery=recovery[3].lower().replace("-", " ")).status == 303 and _signed_in(fresh)
    assert "code de secours" in clinic.mails(person)[-1]
    again = clinic.browser()
    page = again.follow(again.sign_in(person))
    form = next(form for form in page.forms if "recovery" in form["fields"])
    assert again.submit(form, recovery=recovery[3]).status == 403
    assert "9" in fresh.get("account").text


@pytest.mark.usefixtures("one_window")
def test_guesses_of_the_second_factor_are_limited(clinic: Clinic, person: str) -> None:  # smart-244
    browser = clinic.browser()
    browser.sign_in(person)
    app, _ = _enrol(browser)
    other = clinic.browser(address="198.51.100.20")
    page = other.follow(other.sign_in(person))
    answers = [other.submit(page.forms[0], code=f"{i:06d}").status for i in range(11)]
    assert answers[-1] == 429
    assert other.submit(page.forms[0], code=_next(app)).status == 429


def test_secrets_are_sealed_and_codes_hashed(clinic: Clinic, person: str) -> None:  # sec-T37
    browser = clinic.browser()
    browser.sign_in(person)
    app, recovery = _enrol(browser)
    rows = clinic.sql("SELECT u::text FROM user_account u WHERE tenant_id = $1 AND email = $2", person)
    text = (rows[0][0] or b"").decode()
    assert app.secret not in text and app.secret.encode().hex() not in text
    assert not any(code in text or code.replace("-", "") in text for code in recovery)


def test_an_offered_secret_belongs_to_its_person(clinic: Clinic, person: str) -> None:
    clinic.person("someone-else")
    mine, theirs = clinic.browser(), clinic.browser()
    mine.sign_in(person)
    theirs.sign_in("someone-else@clinic.example")
    offer = mine.get("account/totp").form("totp")["fields"]["offer"]
    form = theirs.get("account/totp").form("totp")
    assert theirs.submit(form, offer=offer, code="123456").status == 303
    assert theirs.submit(form, offer="x", code="123456").status == 303


def test_turning_the_app_off(clinic: Clinic, person: str) -> None:
    browser = clinic.browser()
    browser.sign_in(person)
    _enrol(browser)
    form = browser.get("account").form("/account/totp")
    assert browser.submit(form, remove="1").status == 303
    assert clinic.browser().sign_in(person).headers["Location"].endswith("/account")
    assert len(clinic.mails(person)) == 2


def test_changes_that_matter_need_a_sign_in_of_the_last_minutes(clinic: Clinic, person: str) -> None:
    browser = clinic.browser()
    browser.sign_in(person)
    clinic.sql("UPDATE web_session SET auth_time = now() - interval '16 minutes' WHERE tenant_id = $1 RETURNING 1")
    for path in ("account/totp", "account/email"):
        answer = browser.get(path)
        assert answer.status == 303 and "fresh=1" in answer.headers["Location"]
    assert browser.request("POST", "account/passkeys", {}).status == 303
    assert _signed_in(browser)


# -- codes by mail -----------------------------------------------------------------------------------------------------


def test_an_address_that_is_not_proved_is_asked_for_a_code(clinic: Clinic) -> None:
    person = clinic.person("unproved", verified=False)
    browser = clinic.browser()
    answer = browser.sign_in(person.email)
    assert "/email-code?" in answer.headers["Location"] and not _signed_in(browser)
    page = browser.follow(answer)
    code = clinic.code(person.email)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert browser.submit(page.forms[0], code=wrong).status == 403
    assert browser.submit(page.forms[0], code=f"{code[:3]} {code[3:]}").status == 303 and _signed_in(browser)
    assert clinic.account("unproved").verified
    assert clinic.browser().sign_in(person.email).headers["Location"].endswith("/account")


def test_a_code_takes_five_attempts_and_ten_minutes(clinic: Clinic) -> None:
    person = clinic.person("slow", verified=False)
    browser = clinic.browser()
    page = browser.follow(browser.sign_in(person.email))
    code = clinic.code(person.email)
    for i in range(5):
        assert browser.submit(page.forms[0], code=f"{(int(code) + 1 + i) % 1_000_000:06d}").status == 403
    assert browser.submit(page.forms[0], code=code).status == 403, "the right one comes too late"
    assert browser.submit(page.forms[1], again="1").status == 303
    new = clinic.code(person.email)
    clinic.sql("UPDATE user_code SET expires_at = now() WHERE tenant_id = $1 AND user_id = $2 RETURNING 1", person.id)
    assert browser.submit(page.forms[0], code=new).status == 403
    rows = clinic.sql("SELECT c::text FROM user_code c WHERE tenant_id = $1 AND user_id = $2", person.id)
    assert code.encode() not in (rows[0][0] or b"")


def test_an_account_under_attack_asks_for_a_code(clinic: Clinic) -> None:  # smart-244
    person = clinic.person("pressed")
    for i in range(50):
        clinic.browser(address=f"198.51.100.{100 + i}").sign_in(person.email, "no idea at all")
    browser = clinic.browser(address="203.0.113.77")
    answer = browser.sign_in(person.email)
    assert "/email-code?" in answer.headers["Location"]
    page = browser.follow(answer)
    assert browser.submit(page.forms[0], code=clinic.code(person.email)).status == 303 and _signed_in(browser)


# -- passkeys ----------------------------------------------------------------------------------------------------------


def _options(browser: Browser, path: str, form: dict[str, Any]) -> Any:
    answer = browser.request("POST", path, {}, X_CSRF=form["fields"]["csrf"])
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def _add_passkey(browser: Browser, key: Authenticator, name: str = "my key") -> None:
    page = browser.get("account")
    form = next(form for form in page.forms if form["form"].get("data-passkey") == "create")
    options = _options(browser, "account/passkeys/options", form)
    assert options["authenticatorSelection"]["residentKey"] == "required"
    answer = browser.submit(form, credential=key.create(options), name=name)
    assert answer.headers["Location"].endswith("?done=passkey"), answer.headers["Location"]


def _use_passkey(browser: Browser, key: Authenticator) -> bool:
    page = browser.get("login")
    form = next(form for form in page.forms if form["form"].get("data-passkey") == "get")
    answer = browser.submit(form, credential=key.get(_options(browser, "passkey/options", form)))
    assert answer.status == 303
    return "problem=passkey" not in answer.headers["Location"]


@pytest.fixture
def key() -> Authenticator:
    """A new passkey for the host of the tests."""
    return Authenticator(ORIGIN, "testserver")


def test_a_passkey_signs_in_alone(clinic: Clinic, person: str, key: Authenticator) -> None:
    owner = clinic.browser()
    owner.sign_in(person)
    _add_passkey(owner, key, "Téléphone <b>")
    assert "Téléphone &lt;b&gt;" in owner.get("account").text
    browser = clinic.browser()
    assert _use_passkey(browser, key) and _signed_in(browser)
    assert person in browser.get("account").text
    password = clinic.browser()
    answer = password.sign_in(person)
    assert "/second-factor?" in answer.headers["Location"], "a password alone does not do any more"
    assert any(form["form"].get("data-passkey") for form in password.follow(answer).forms)


def test_an_answer_counts_once_and_for_its_browser(clinic: Clinic, person: str, key: Authenticator) -> None:
    owner = clinic.browser()
    owner.sign_in(person)
    _add_passkey(owner, key)
    browser, thief = clinic.browser(), clinic.browser()
    form = next(form for form in browser.get("login").forms if form["form"].get("data-passkey"))
    stolen = next(form for form in thief.get("login").forms if form["form"].get("data-passkey"))
    answer = key.get(_options(browser, "passkey/options", form))
    assert "problem=passkey" in thief.submit(stolen, credential=answer).headers["Location"]
    assert "problem=passkey" not in browser.submit(form, credential=answer).headers["Location"]
    again = clinic.browser(cookies=dict(browser.cookies))
    form = next(form for form in again.get("login?fresh=1").forms if form["form"].get("data-passkey"))
    assert "problem=passkey" in again.submit(form, credential=answer).headers["Location"]


@pytest.mark.parametrize(
    "wrong",
    ["origin", "rp_id", "key", "unverified", "unknown", "junk", "no-challenge"],
)
def test_wrong_answers_are_refused(clinic: Clinic, wrong: str) -> None:
    person = clinic.person(f"passkey-{wrong}")
    key = Authenticator(ORIGIN, "testserver")
    owner = clinic.browser()
    owner.sign_in(person.email)
    _add_passkey(owner, key)
    bad = Authenticator(key.origin, key.rp_id, True, 0, key.credential_id, key.key)
    match wrong:
        case "origin":
            bad.origin = "https://evil.example"
        case "rp_id":
            bad.rp_id = "evil.example"
        case "key":
            bad.key = Authenticator(ORIGIN, "testserver").key
        case "unverified":
            bad.verified = False
        case "unknown":
            bad.credential_id = b"0123456789abcdef"
    browser = clinic.browser(address=f"198.51.101.{len(wrong)}")
    form = next(form for form in browser.get("login").forms if form["form"].get("data-passkey"))
    if wrong == "junk":
        answer = "{}"
    elif wrong == "no-challenge":
        answer = bad.get({"challenge": "AAAA"})
    else:
        answer = bad.get(_options(browser, "passkey/options", form))
    assert "problem=passkey" in browser.submit(form, credential=answer).headers["Location"]
    assert not _signed_in(browser)


def test_a_copied_passkey_shows_by_its_counter(clinic: Clinic, person: str, key: Authenticator) -> None:
    owner = clinic.browser()
    owner.sign_in(person)
    key.count = 5
    _add_passkey(owner, key)
    key.count = 6
    assert _use_passkey(clinic.browser(address="198.51.102.1"), key)
    assert not _use_passkey(clinic.browser(address="198.51.102.2"), key), "the same count again"


def test_a_removed_passkey_and_a_disabled_owner(clinic: Clinic, person: str, key: Authenticator) -> None:  # smart-45
    from fhir_server.security import accounts

    owner = clinic.browser()
    owner.sign_in(person)
    _add_passkey(owner, key)
    db = clinic.enter()
    account = accounts.find(db, clinic.tenant.id, person)
    accounts.disable(db, clinic.tenant.id, account)
    db.commit()
    assert not _use_passkey(clinic.browser(address="198.51.103.1"), key)
    db = clinic.enter()
    accounts.enable(db, clinic.tenant.id, account)
    db.commit()
    browser = clinic.browser(address="198.51.103.2")
    assert _use_passkey(browser, key)
    form = next(form for form in browser.get("account").forms if form["action"].endswith("/passkeys"))
    assert browser.submit(form, remove=key.credential_id.hex()).status == 303
    assert not _use_passkey(clinic.browser(address="198.51.103.3"), key)
    assert browser.submit(form, remove=key.credential_id.hex()).status == 404


def test_nobody_removes_anothers_passkey(clinic: Clinic, person: str, key: Authenticator) -> None:
    owner = clinic.browser()
    owner.sign_in(person)
    _add_passkey(owner, key)
    clinic.person("remover")
    other = clinic.browser()
    other.sign_in("remover@clinic.example")
    form = next(form for form in other.get("account").forms if form["action"].endswith("/passkeys"))
    assert other.submit(form, remove=key.credential_id.hex()).status == 404
    assert _use_passkey(clinic.browser(address="198.51.104.1"), key)
    assert PASSWORD not in other.get("account").text
