"""The account page: profile, password, address, devices, connected apps."""

import pytest

from fhir_server.security import accounts
from fhir_server.security.web_sessions import digest
from tests.signin.conftest import PASSWORD, Browser, Clinic

NEW = "tortue-nuage-citron-18"


def _in(clinic: Clinic, name: str, **given: str) -> Browser:
    clinic.person(name, **given)
    browser = clinic.browser()
    browser.sign_in(f"{name}@clinic.example")
    return browser


def test_pages_are_for_those_who_are_signed_in(clinic: Clinic) -> None:
    for path in ("account", "account/password", "account/email", "account/totp"):
        answer = clinic.browser().get(path)
        assert answer.status == 303 and f"return_to=%2Ft%2F{clinic.tenant.slug}%2Foauth%2F" in answer.headers["Location"]


@pytest.mark.parametrize("path", ["profile", "sessions", "apps", "passkeys", "passkeys/options", "password", "email", "totp"])
def test_forms_need_their_token(clinic: Clinic, path: str) -> None:  # sec-T29
    browser = _in(clinic, f"token-{path.replace('/', '-')}")
    answer = browser.request("POST", f"account/{path}", {"name": "Eve", "others": "1", "csrf": "x"})
    assert answer.status == 403


def test_the_profile(clinic: Clinic) -> None:
    browser = _in(clinic, "profile", role="nurse")
    page = browser.get("account")
    assert "Infirmier" in page.text and page.headers["Content-Language"] == "fr"
    done = browser.submit(page.form("/profile"), name="<Sara>", language="ar")
    after = browser.follow(done)
    assert after.parsed.attributes["dir"] == "rtl" and "&lt;Sara&gt;" in after.text and "حُفظ ملفك الشخصي" in after.text
    fresh = clinic.browser()
    fresh.sign_in("profile@clinic.example")
    assert fresh.get("account").parsed.attributes["lang"] == "ar", "the account's own language"


def test_the_password(clinic: Clinic) -> None:  # smart-117
    browser = _in(clinic, "changer")
    person = clinic.account("changer")
    elsewhere = clinic.browser()
    elsewhere.sign_in(person.email)
    grant = clinic.app(person)
    page = browser.get("account/password")
    assert browser.submit(page.forms[0], current="not this one", password=NEW).status == 403
    assert browser.submit(page.forms[0], current=PASSWORD, password="changer@clinic.example").status == 422
    assert browser.submit(page.forms[0], current=PASSWORD, password=NEW).status == 303
    assert browser.get("account").status == 200 and elsewhere.get("account").status == 303
    assert not clinic.live(grant)
    assert clinic.browser().sign_in(person.email).status == 403
    assert clinic.browser().sign_in(person.email, NEW).status == 303


@pytest.mark.usefixtures("one_window")
def test_guesses_of_the_present_password_are_limited(clinic: Clinic) -> None:  # smart-244
    browser = _in(clinic, "left-open")
    form = browser.get("account/password").forms[0]
    statuses = [browser.submit(form, current=f"guess {i}", password=NEW).status for i in range(11)]
    assert statuses[:10] == [403] * 10 and statuses[10] == 429


def test_the_address_changes_with_a_code_sent_to_the_new_one(clinic: Clinic) -> None:
    browser = _in(clinic, "mover")
    page = browser.get("account/email")
    assert browser.submit(page.forms[0], email="no address").status == 422
    step = browser.submit(page.forms[0], email="Moved@clinic.example")
    code = clinic.code("moved@clinic.example")
    assert browser.submit(step.forms[0], email="evil@clinic.example", code=code).status == 403, "the code is for one address"
    assert browser.submit(step.forms[0], code=code).status == 303
    assert clinic.account("moved").role == "practitioner"
    assert clinic.browser().sign_in("moved@clinic.example").status == 303
    clinic.person("taken")
    step = browser.submit(page.forms[0], email="taken@clinic.example")
    assert step.status == 200 and clinic.mails("taken@clinic.example") == [], "same page, no mail"


def test_devices(clinic: Clinic) -> None:
    browser = clinic.browser(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
    clinic.person("devices")
    browser.sign_in("devices@clinic.example")
    phone = clinic.browser(headers={"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"})
    phone.sign_in("devices@clinic.example")
    third = clinic.browser()
    third.sign_in("devices@clinic.example")
    page = browser.get("account")
    assert "Firefox · Linux" in page.text and "Safari · iPhone" in page.text and "Appareil inconnu" in page.text
    form = page.form("/sessions")
    assert browser.submit(form, session=digest(phone.session).hex()).status == 303
    assert phone.get("account").status == 303 and third.get("account").status == 200
    stranger = _in(clinic, "stranger")
    form = stranger.get("account").form("/profile")
    assert stranger.request("POST", "account/sessions", {**form["fields"], "session": digest(third.session).hex()}).status == 404
    assert third.get("account").status == 200
    assert browser.submit(page.form("/sessions"), others="1").status == 303
    assert third.get("account").status == 303 and browser.get("account").status == 200


def test_connected_apps_are_shown_and_ended(clinic: Clinic) -> None:  # smart-169
    browser = _in(clinic, "apps")
    person = clinic.account("apps")
    grant = clinic.app(person, scope="user/Patient.rs user/Observation.cruds offline_access")
    page = browser.get("account")
    assert "Suivi" in page.text and "Peut voir" in page.text and "Peut modifier" in page.text
    assert "Reste connectée en votre absence" in page.text
    stranger = _in(clinic, "stranger-2")
    rows = clinic.sql("SELECT client_id FROM oauth_grant WHERE tenant_id = $1 AND grant_id = $2", grant)
    client_id = (rows[0][0] or b"").decode()
    form = stranger.get("account").form("/profile")
    assert stranger.request("POST", "account/apps", {**form["fields"], "client_id": client_id}).status == 404
    assert clinic.live(grant)
    done = browser.submit(page.form("/apps"), client_id=client_id)
    assert done.status == 303 and not clinic.live(grant)
    assert "Suivi" not in browser.follow(done).text
    assert clinic.events()[-1] == "token-revoked"


def test_what_an_app_may_do_in_few_words(clinic: Clinic) -> None:
    browser = _in(clinic, "few-words")
    clinic.app(clinic.account("few-words"), scope="user/*.rs user/Condition.cruds user/Observation.cruds?category=laboratory")
    text = browser.get("account").text
    assert "Peut voir\u00a0: tout le dossier<" in text
    limited = "Analyses, signes vitaux et autres mesures\u00a0: Analyses de laboratoire"
    assert f"Peut modifier\u00a0: Maladies et diagnostics\u00a0; {limited}<" in text


@pytest.mark.parametrize("change", ["disable", "rights", "password"])
def test_a_change_of_rights_ends_everything_at_once(clinic: Clinic, change: str) -> None:  # smart-117
    browser = _in(clinic, f"ended-{change}")
    person = clinic.account(f"ended-{change}")
    grant = clinic.app(person)
    assert clinic.live(grant)
    db = clinic.enter()
    if change == "disable":
        accounts.disable(db, clinic.tenant.id, person)
    elif change == "rights":
        accounts.set_rights(db, clinic.tenant.id, person, role="nurse", fhir_user=None, patients=())
    else:
        accounts.set_password(db, clinic.tenant.id, person, NEW, by="operator")
    db.commit()
    assert browser.get("account").status == 303 and not clinic.live(grant)
    assert clinic.events()[-1] == "user-changed"
