"""EHR launch: the value ties an app to one user, patient and moment, and is good once."""

import json
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fhir_server.cli.launch import launch as command
from fhir_server.cli.launch import new_launch
from fhir_server.core.errors import FhirError, Invalid
from fhir_server.security.oauth import launch
from tests.authorize.conftest import Clinic
from tests.authorize.surfer import Page, Surfer

SCOPE = "launch openid fhirUser offline_access user/*.rs patient/Patient.rs"


@pytest.fixture(scope="module")
def visit(clinic: Clinic) -> str:
    """An encounter of Amina."""
    return str(
        clinic.tenant.client().create(
            {
                "resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"},
                "subject": {"reference": f"Patient/{clinic.patients['amina']}"},
            }
        )["id"]
    )  # fmt: skip


def made(clinic: Clinic, role: str = "practitioner", client: str = "suivi-tension", **more: Any) -> str:
    """A launch value, as the command line makes it."""
    found = new_launch(clinic.tenant.slug, client, clinic.people[role], clinic.patients["amina"], **more)
    return str(found["launch"])


def opened(clinic: Clinic, value: str, role: str = "practitioner", **changed: str | None) -> tuple[Surfer, Page]:
    """A browser that follows a launch."""
    surfer = clinic.surfer(role)
    return surfer, surfer.go(clinic.url(**{"scope": SCOPE, "launch": value, **changed}))


def test_launch_gives_patient_and_encounter(clinic: Clinic, visit: str) -> None:
    # smart-56, smart-61, smart-149, smart-150, smart-151, smart-154
    surfer, page = opened(clinic, made(clinic, encounter=visit, intent="reconcile"))
    assert "Amina Benali" in page.text and 'name="q"' not in page.text
    assert "code" in surfer.press(page, "decision", "allow").answer
    grant = clinic.grant()
    assert grant["scope"] == SCOPE
    context = grant["context"]
    assert context["patient"] == clinic.patients["amina"] and context["encounter"] == visit
    assert context["intent"] == "reconcile" and context["need_patient_banner"] is True


def test_launch_is_good_once(clinic: Clinic) -> None:
    # smart-57
    value = made(clinic)
    surfer, page = opened(clinic, value, prompt="consent")
    again = clinic.surfer("practitioner")
    second = again.go(clinic.url(scope=SCOPE, launch=value, prompt="consent"))
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert again.press(second, "decision", "allow").answer["error"] == "invalid_request"
    assert opened(clinic, value)[1].answer["error"] == "invalid_request"


def test_of_many_at_once_one_uses_a_launch(clinic: Clinic) -> None:
    # smart-57
    value, won = made(clinic), []
    user = clinic.grant()["user"]

    def use() -> None:
        from fhir_server.rest.dispatch import session

        if clinic.do(lambda db: launch.use(db, clinic.tenant.id, value, client_id="suivi-tension", user_id=user)):
            won.append(1)
        session().close()

    threads = [threading.Thread(target=use) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1


@pytest.mark.parametrize("value", ["unknown", "x" * 43, "x" * 512, "%27", "a b"], ids=lambda value: f"smart-57-{value[:9]}")
def test_unknown_launch(clinic: Clinic, value: str) -> None:
    assert opened(clinic, value)[1].answer["error"] == "invalid_request"


def test_expired_launch(clinic: Clinic) -> None:
    # smart-57
    value = made(clinic)
    sql = "UPDATE oauth_launch SET expires_at = now() WHERE tenant_id = $1 AND used_at IS NULL"
    clinic.do(lambda db: db.run([(sql, (clinic.tenant.id,))]))
    assert opened(clinic, value)[1].answer["error"] == "invalid_request"


def test_launch_lives_five_minutes_at_most(clinic: Clinic) -> None:
    # smart-57
    made(clinic)
    sql = "SELECT max(extract(epoch FROM expires_at - now())) FROM oauth_launch WHERE tenant_id = $1"
    assert float(clinic.do(lambda db: db.run([(sql, (clinic.tenant.id,))]))[0][0][0]) <= 300


def test_other_apps_launch(clinic: Clinic) -> None:
    # smart-57
    app = clinic.app("other-app")
    assert opened(clinic, made(clinic, client=app))[1].answer["error"] == "invalid_request"


def test_other_tenants_launch(clinic: Clinic, other: Clinic) -> None:
    # smart-57, smart-242
    assert opened(clinic, made(other))[1].answer["error"] == "invalid_request"


def test_other_users_launch(clinic: Clinic) -> None:
    # smart-59
    clinic.person("nurse")
    value = made(clinic)
    answer = opened(clinic, value, "nurse")[1].answer
    assert answer["error"] == "access_denied" and answer["iss"] == clinic.issuer
    assert "decision" in opened(clinic, value, prompt="consent")[1].text


def test_known_launch_of_staff_is_not_asked_about_again(clinic: Clinic) -> None:
    scope = "launch openid user/Patient.rs"
    surfer, page = opened(clinic, made(clinic), scope=scope)
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert "code" in opened(clinic, made(clinic), scope=scope)[1].answer
    # For another patient, or when the app asks for it, it is asked.
    assert "decision" in opened(clinic, made(clinic), scope=scope, prompt="consent")[1].text
    zoe = str(new_launch(clinic.tenant.slug, "suivi-tension", clinic.people["practitioner"], clinic.patients["zoe"])["launch"])
    assert "decision" in opened(clinic, zoe, scope=scope)[1].text


def test_record_that_the_user_may_no_longer_open(clinic: Clinic) -> None:
    # smart-45
    value = made(clinic)
    email = clinic.person("nurse", email="soon@clinic.example")
    clinic.people["soon"] = email
    value = made(clinic, "soon")
    sql = "UPDATE user_account SET role = 'operator' WHERE tenant_id = $1 AND email = $2"
    clinic.do(lambda db: db.run([(sql, (clinic.tenant.id, email))]))
    assert opened(clinic, value, "soon")[1].answer["error"] in ("access_denied", "invalid_scope")


# -- the command line --------------------------------------------------------------------------------------------------


def test_command_prints_value_and_url(clinic: Clinic) -> None:
    # smart-54, smart-55
    found = new_launch(clinic.tenant.slug, "suivi-tension", clinic.people["practitioner"], clinic.patients["amina"])
    parts = urlsplit(str(found["url"]))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://app.example/launch"
    query = parse_qs(parts.query)
    assert query["launch"] == [found["launch"]] and query["iss"] == [found["iss"]]
    assert str(found["iss"]).endswith(f"/t/{clinic.tenant.slug}/fhir")
    assert found["expires_in"] == 300


def test_command_line(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["create", "--tenant", clinic.tenant.slug, "--client", "suivi-tension", "--user", clinic.people["practitioner"]]
    words += ["--patient", clinic.patients["amina"]]
    command.main([*words, "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"launch", "iss", "url", "expires_in"}
    command.main(words, standalone_mode=False)
    assert "https://app.example/launch?iss=" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [{"client_id": "nobody"}, {"email": "nobody@x.example"}, {"patient": "none"}, {"patient": "../x"}, {"encounter": "none"}, {"intent": "\n"}],
    ids=str,
)
def test_command_refuses_what_is_not_there(clinic: Clinic, changed: dict[str, str]) -> None:
    given = {"client_id": "suivi-tension", "email": clinic.people["practitioner"], "patient": clinic.patients["amina"], **changed}
    with pytest.raises(FhirError):
        new_launch(clinic.tenant.slug, **given)


# -- the page ----------------------------------------------------------------------------------------------------------


def launch_page(clinic: Clinic, role: str, **query: str) -> tuple[Surfer, Page]:
    from urllib.parse import urlencode

    surfer = clinic.surfer(role)
    return surfer, surfer.go(f"/t/{clinic.tenant.slug}/oauth/launch?{urlencode(query)}")


def test_page_opens_the_app(clinic: Clinic, visit: str) -> None:
    # smart-54, smart-55, smart-56
    surfer, page = launch_page(clinic, "practitioner", patient=clinic.patients["amina"], encounter=visit)
    assert "Suivi Tension" in page.text and "Amina Benali" in page.text
    assert "form-action 'self' https://app.example" in page.headers["Content-Security-Policy"]
    page = surfer.press(page, "client_id", "suivi-tension")
    assert page.left is not None and page.left.startswith("https://app.example/launch?iss=")
    assert page.answer["iss"] == clinic.base
    page = surfer.go(clinic.url(scope=SCOPE + " patient/Goal.rs", launch=page.answer["launch"]))
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["context"]["encounter"] == visit


def test_page_is_for_those_who_may_launch(clinic: Clinic) -> None:
    assert launch_page(clinic, "billing", patient=clinic.patients["amina"])[1].status == 403
    assert launch_page(clinic, "patient", patient=clinic.patients["amina"])[1].status == 403
    page = Surfer(clinic.tenant.slug).go(f"/t/{clinic.tenant.slug}/oauth/launch?patient=x")
    assert 'name="username"' in page.text


@pytest.mark.parametrize("patient", ["none", "", "../Patient/x", "a b"])
def test_page_of_a_patient_who_is_not_there(clinic: Clinic, other: Clinic, patient: str) -> None:
    assert launch_page(clinic, "practitioner", patient=patient)[1].status == 404
    assert launch_page(clinic, "practitioner", patient=other.patients["amina"])[1].status == 404


def test_page_wants_the_sessions_token_and_a_known_app(clinic: Clinic) -> None:
    # sec-T29, sec-T26
    surfer, page = launch_page(clinic, "practitioner", patient=clinic.patients["amina"])
    form = page.form("client_id")
    before = clinic.rows("oauth_launch")
    assert surfer.go(form.action, [("client_id", "suivi-tension")]).status == 403
    for each in ("nobody", "https://evil.test", ""):
        assert surfer.go(form.action, [*form.fields, ("client_id", each)]).status == 400
    assert clinic.rows("oauth_launch") == before


# -- fhirContext -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"reference": "Observation/1"}, {"reference": "Task/1", "role": "task"}, {"canonical": "http://x/Questionnaire/1"},
        {"identifier": {"value": "1"}, "type": "Device"}, {"reference": "Patient/1", "role": "https://x/mother"},
    ],
    ids=lambda given: f"smart-153-{given}",
)  # fmt: skip
def test_fhir_context_is_taken(given: dict[str, Any]) -> None:
    assert launch.launch_context("1", fhir_context=[given])["fhirContext"] == [given]


@pytest.mark.parametrize(
    "given",
    [
        {}, {"reference": "https://evil.test/Observation/1"}, {"reference": "Observation"}, {"reference": "Patient/1"},
        {"reference": "Encounter/1", "role": "launch"}, {"reference": "Observation/1", "role": ""},
        {"reference": "Observation/1", "role": "mother"}, {"canonical": "x"}, {"identifier": {}}, {"reference": 1}, {"reference": "Nothing/1"}, {"identifier": {"value": "1"}, "type": "Nothing"},
    ],
    ids=lambda given: f"smart-153-{given}",
)  # fmt: skip
def test_fhir_context_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        launch.launch_context("1", fhir_context=[given])
