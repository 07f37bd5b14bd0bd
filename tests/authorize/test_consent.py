"""What a user lets pass on the consent page is what is granted, no more and no less."""

from urllib.parse import urlencode

import pytest

from tests.authorize.conftest import PASSWORD, Clinic
from tests.authorize.surfer import Form, Page, Surfer
from tests.client import ORIGIN

TERMS = "http://terminology.hl7.org/CodeSystem"
CONDITION, OBSERVATION = f"{TERMS}/condition-category", f"{TERMS}/observation-category"
CONCERN = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
SDOH = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
TEST = "http://hl7.org/fhir/us/core/CodeSystem/us-core-observation-category"


def allow(surfer: Surfer, page: Page, drop: set[str] = frozenset(), only: dict[str, list[str]] | None = None) -> Page:  # type: ignore[assignment]
    """Allow, without the boxes `drop`, and of categories only those."""
    form = page.form("decision")
    fields = [*form.fields, *[pair for pair in form.boxes if pair[0] == "allow" and pair[1] not in drop]]
    for name, value in form.boxes:
        if name.startswith("category "):
            chosen = (only or {}).get(name.removeprefix("category "))
            if chosen is None or value in chosen:
                fields.append((name, value))
    return surfer.go(form.action, [*fields, ("decision", "allow")])


def granted(clinic: Clinic, scope: str, role: str = "patient", **choice: object) -> list[str]:
    """The scopes granted of those asked."""
    surfer, page = clinic.consent(role, scope=scope)
    assert "code" in allow(surfer, page, **choice).answer  # type: ignore[arg-type]
    return str(clinic.grant()["scope"]).split()


def boxes(clinic: Clinic, scope: str, role: str = "patient") -> Form:
    """The form of the consent page."""
    return clinic.consent(role, scope=scope)[1].form("decision")


def test_unticked_types_are_not_granted(clinic: Clinic) -> None:
    # smart-44, smart-120
    asked = "openid patient/Patient.rs patient/Observation.rs patient/Condition.rs patient/Immunization.rs"
    got = granted(clinic, asked, drop={"patient.see.Condition", "patient.see.Immunization"})
    assert got == ["openid", "patient/Patient.rs", "patient/Observation.rs"]


def test_everything_ticked_is_what_was_asked(clinic: Clinic) -> None:
    # smart-118, smart-119
    asked = "launch/patient openid fhirUser offline_access patient/*.rs"
    assert granted(clinic, asked) == asked.split()


def test_v1_is_answered_in_v1(clinic: Clinic) -> None:
    # smart-121
    asked = "openid patient/Patient.read patient/Appointment.read patient/*.read"
    assert granted(clinic, asked) == asked.split()
    doctor = "openid patient/Observation.* patient/Condition.write user/Patient.read"
    assert granted(clinic, doctor, "practitioner") == doctor.split()


def test_v1_stays_v1_when_it_is_narrowed(clinic: Clinic) -> None:
    # smart-121, smart-120
    asked = "openid patient/Observation.* patient/Condition.*"
    got = granted(clinic, asked, "practitioner", drop={"patient.change.Observation", "patient.see.Condition"})
    assert got == ["openid", "patient/Observation.read", "patient/Condition.write"]


def test_v1_is_offered_no_categories(clinic: Clinic) -> None:
    assert not boxes(clinic, "patient/Observation.read").values("category patient.see.Observation")


def test_wildcard_is_split_when_something_is_unticked(clinic: Clinic) -> None:
    # smart-43, smart-119, smart-120
    got = granted(clinic, "openid patient/*.rs", drop={"patient.see.Observation", "patient.see.@shared"})
    assert "patient/Condition.rs" in got and "patient/Patient.rs" in got and "patient/Device.rs" in got
    assert "patient/Observation.rs" not in got and "patient/*.rs" not in got and "patient/Practitioner.rs" not in got
    assert len(got) > 60


def test_reading_and_writing_are_ticked_apart(clinic: Clinic) -> None:
    # smart-44
    got = granted(clinic, "openid patient/Observation.cruds", "practitioner", drop={"patient.change.Observation"})
    assert got == ["openid", "patient/Observation.rs"]


@pytest.mark.parametrize(
    ("condition", "observation"),
    [
        pytest.param(
            [f"{CONDITION}|encounter-diagnosis", f"{CONCERN}|health-concern"],
            [f"{OBSERVATION}|laboratory", f"{OBSERVATION}|social-history"],
            id="smart-124",
        ),
        pytest.param(
            [f"{CONDITION}|problem-list-item"],
            [f"{OBSERVATION}|vital-signs", f"{OBSERVATION}|survey", f"{SDOH}|sdoh", f"{TEST}|clinical-test"],
            id="smart-125",
        ),
    ],
)
def test_categories_replace_the_whole_type(clinic: Clinic, condition: list[str], observation: list[str]) -> None:
    # smart-123, smart-124, smart-125
    asked = "openid patient/Condition.rs patient/Observation.rs patient/Patient.rs"
    only = {"patient.see.Condition": condition, "patient.see.Observation": observation}
    got = granted(clinic, asked, only=only)
    assert set(got) == {
        "openid",
        "patient/Patient.rs",
        *(f"patient/Condition.rs?category={value}" for value in condition),
        *(f"patient/Observation.rs?category={value}" for value in observation),
    }


def test_no_category_at_all_is_nothing_of_the_type(clinic: Clinic) -> None:
    got = granted(clinic, "openid patient/Observation.rs patient/Patient.rs", only={"patient.see.Observation": []})
    assert got == ["openid", "patient/Patient.rs"]


def test_granular_scopes_are_shown_and_granted(clinic: Clinic) -> None:
    # smart-126
    scope = f"patient/Observation.rs?category={OBSERVATION}|laboratory"
    for text in (scope, scope.replace("|", "%7C")):
        surfer, page = clinic.consent(scope=f"openid {text}")
        assert "Analyses de laboratoire" in page.text
        assert "code" in surfer.press(page, "decision", "allow").answer
        assert len(clinic.grant()["scope"].split()) == 2


@pytest.mark.parametrize(
    "scope",
    ["patient/Observation.rs?code:in=http://x", "patient/Observation.rs?subject:Patient.name=a", "patient/Observation.rs?_has:Condition:code=1", "patient/Observation.rs?nothing=1"],
    ids=lambda scope: f"smart-127-{scope}",
)
def test_experimental_granular_forms_are_not_granted(clinic: Clinic, scope: str) -> None:
    surfer, page = clinic.consent(scope=f"openid patient/Patient.rs {scope}")
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["scope"] == "openid patient/Patient.rs"


def test_system_scopes_are_never_granted_to_people(clinic: Clinic) -> None:
    # smart-128
    assert granted(clinic, "openid system/*.rs patient/Patient.rs") == ["openid", "patient/Patient.rs"]


def test_grant_is_within_registration_and_role(clinic: Clinic) -> None:
    # smart-129
    app = clinic.app(scope="openid patient/Patient.rs patient/Observation.rs user/Patient.rs")
    surfer, page = clinic.consent(scope="openid fhirUser offline_access patient/*.cruds user/*.rs", client_id=app)
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert set(clinic.grant()["scope"].split()) == {"openid", "patient/Patient.rs", "patient/Observation.rs", "user/Patient.rs", "patient/Observation.c"} - {"patient/Observation.c"}
    surfer, page = clinic.consent("billing", scope="openid user/Observation.rs user/Invoice.cruds")
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["scope"] == "openid user/Invoice.cruds"


def test_nothing_that_can_be_granted_is_invalid_scope(clinic: Clinic) -> None:
    # smart-129
    answer = clinic.surfer("billing").go(clinic.url(scope="user/Observation.rs system/*.rs")).answer
    assert answer["error"] == "invalid_scope"


def test_unticking_everything_is_access_denied(clinic: Clinic) -> None:
    surfer, page = clinic.consent(scope="patient/Patient.rs launch/patient")
    before = clinic.rows("oauth_grant")
    assert allow(surfer, page, drop={"patient.see.Patient"}).answer["error"] == "access_denied"
    assert clinic.rows("oauth_grant") == before


def test_forged_boxes_give_nothing(clinic: Clinic) -> None:
    # smart-44, smart-129
    surfer, page = clinic.consent(scope="openid patient/Patient.rs")
    form = page.form("decision")
    forged = [("allow", "patient.see.Observation"), ("allow", "patient/*.cruds"), ("allow", "offline_access"), ("narrow", "patient.see.Patient"), ("category patient.see.Patient", "a|b")]
    assert "code" in surfer.go(form.action, [*form.fields, *form.boxes, *forged, ("decision", "allow")]).answer
    assert clinic.grant()["scope"] == "openid patient/Patient.rs"


def test_denying_is_access_denied(clinic: Clinic) -> None:
    # smart-44
    surfer, page = clinic.consent()
    grants, notes = clinic.rows("oauth_grant"), clinic.rows("audit")
    answer = surfer.press(page, "decision", "deny").answer
    assert answer["error"] == "access_denied" and answer["state"] == "s 1" and answer["iss"] == clinic.issuer
    assert clinic.rows("oauth_grant") == grants
    # smart-247
    assert clinic.rows("audit") > notes


def test_offline_access_is_explained_and_can_be_unticked(clinic: Clinic) -> None:
    # smart-43
    surfer, page = clinic.consent()
    assert "Garder l’accès en votre absence" in page.text
    assert "code" in allow(surfer, page, drop={"offline_access"}).answer
    grant = clinic.grant()
    assert "offline_access" not in grant["scope"].split() and grant["session"]
    assert "code" in allow(surfer, page).answer
    assert not clinic.grant()["session"]


def test_consent_is_told_in_plain_words(clinic: Clinic) -> None:
    # smart-43
    surfer = clinic.surfer("patient")
    words = {"fr": "Ordonnances", "en": "Prescriptions", "es": "Recetas", "ar": "الوصفات الطبية"}
    for language, text in words.items():
        page = surfer.go(clinic.url(scope="patient/MedicationRequest.rs offline_access", ui_locales=language))
        assert text in page.text and f'lang="{language}"' in page.text, language
        assert "patient/MedicationRequest" not in page.text


def test_code_follows_a_303_and_nothing_is_cached(clinic: Clinic) -> None:
    # smart-39, smart-41, smart-53
    surfer, page = clinic.consent()
    for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY")):
        assert value in page.headers[name]
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
    assert "form-action 'self' https://app.example" in policy
    form = page.form("decision")
    data = dict([*form.fields, ("allow", "patient.see.Patient"), ("decision", "allow")])
    response = surfer.wsgi.post(form.action, data=data, base_url=ORIGIN)
    assert response.status_code == 303
    assert response.headers["Cache-Control"] == "no-store" and response.headers["Referrer-Policy"] == "no-referrer"


def test_form_without_the_sessions_token_is_refused(clinic: Clinic) -> None:
    # smart-42, sec-T29
    surfer, page = clinic.consent()
    before = clinic.rows("oauth_grant")
    form = page.form("decision")
    for token in ("", "x", "0" * 43):
        answer = surfer.go(form.action, [("csrf", token), *form.boxes, ("decision", "allow")])
        assert answer.status == 403
    # Another person's token does not do either.
    stranger = clinic.surfer("proxy").go(clinic.url()).forms[0]
    answer = surfer.go(form.action, [*stranger.fields, *form.boxes, ("decision", "allow")])
    assert answer.status == 403
    assert clinic.rows("oauth_grant") == before


def test_apps_post_cannot_answer_for_the_user(clinic: Clinic) -> None:
    # sec-T29: what an app posts to the endpoint is a request, whatever fields it has
    surfer = clinic.surfer("practitioner")
    before = clinic.rows("oauth_grant")
    forged = {"decision": "allow", "patient": clinic.patients["zoe"], "encounter": "", "allow": "patient.see.Patient", "cancel": "1"}
    page = surfer.go(f"/t/{clinic.tenant.slug}/oauth/authorize", urlencode({**clinic.asked(), **forged}))
    assert page.left is None and 'name="q"' in page.text
    surfer = clinic.surfer("patient")
    page = surfer.go(f"/t/{clinic.tenant.slug}/oauth/authorize", urlencode({**clinic.asked(), **forged}))
    assert page.left is None and 'name="decision"' in page.text
    assert clinic.rows("oauth_grant") == before


def test_ticket_belongs_to_the_session(clinic: Clinic) -> None:
    # sec-T29, smart-45
    _, page = clinic.consent()
    stranger = clinic.surfer("proxy")
    answer = stranger.go(page.form("decision").action)
    assert answer.status == 400 and answer.left is None


@pytest.mark.parametrize("ticket", ["", "x", "a" * 400, "AQAAAAF" + "A" * 100, "é", "%00"])
def test_forged_ticket_is_refused(clinic: Clinic, ticket: str) -> None:
    surfer = clinic.surfer("patient")
    page = surfer.go(f"/t/{clinic.tenant.slug}/oauth/authorize/continue?{urlencode({'request': ticket})}")
    assert page.status == 400 and page.left is None


def test_other_tenants_ticket_is_refused(clinic: Clinic, other: Clinic) -> None:
    # smart-242
    _, page = other.consent()
    query = page.form("decision").action.partition("?")[2]
    answer = clinic.surfer("patient").go(f"/t/{clinic.tenant.slug}/oauth/authorize/continue?{query}")
    assert answer.status == 400 and answer.left is None


def test_ticket_expires(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhir_server.authorization_server import tickets

    surfer = clinic.surfer("patient")
    monkeypatch.setattr(tickets, "SECONDS", -1)
    assert surfer.go(surfer.go(clinic.url()).form("decision").action).status == 400


def test_disabled_user_gets_no_code(clinic: Clinic) -> None:
    # smart-45
    clinic.person("receptionist")
    surfer, page = clinic.consent("receptionist", scope="openid user/Patient.rs")
    sql = "UPDATE user_account SET status = 'disabled' WHERE tenant_id = $1 AND email = $2"
    clinic.do(lambda db: db.run([(sql, (clinic.tenant.id, clinic.people["receptionist"]))]))
    answer = surfer.press(page, "decision", "allow")
    assert answer.left is None and 'name="username"' in answer.text


def test_user_of_another_tenant_gets_no_code(clinic: Clinic, other: Clinic) -> None:
    # smart-45
    email = other.person("manager", email="elsewhere@clinic.example")
    page = Surfer(clinic.tenant.slug).go(clinic.url())
    surfer = Surfer(clinic.tenant.slug)
    page = surfer.sign_in(surfer.go(clinic.url()), email, PASSWORD)
    assert page.left is None and 'name="username"' in page.text


def test_app_that_was_disabled_meanwhile_gets_no_code(clinic: Clinic) -> None:
    app = clinic.app("soon-gone")
    surfer, page = clinic.consent(client_id=app)
    sql = "UPDATE oauth_client SET status = 'disabled' WHERE tenant_id = $1 AND client_id = 'soon-gone'"
    clinic.do(lambda db: db.run([(sql, (clinic.tenant.id,))]))
    answer = surfer.press(page, "decision", "allow")
    assert answer.status == 400 and answer.left is None


# -- prompt and max_age ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}], ids=str)
def test_fresh_sign_in_is_asked_for_once(clinic: Clinic, changed: dict[str, str]) -> None:
    # smart-38


    surfer = clinic.surfer("patient")

    page = surfer.go(clinic.url(**changed))
    assert 'name="username"' in page.text
    # Coming back without having signed in again does not help.
    from urllib.parse import parse_qs, urlsplit

    back = parse_qs(urlsplit(page.url).query)["return_to"][0]
    assert 'name="username"' in surfer.go(back).text
    page = surfer.sign_in(page, clinic.people["patient"], PASSWORD)
    assert "code" in surfer.press(page, "decision", "allow").answer


def test_recent_sign_in_does_for_max_age(clinic: Clinic) -> None:
    # smart-38
    assert "decision" in clinic.surfer("patient").go(clinic.url(max_age="600")).text


def test_prompt_none_asks_nothing(clinic: Clinic) -> None:
    # smart-38
    scope = "openid patient/Patient.rs patient/Flag.rs"
    surfer = clinic.surfer("patient")
    assert surfer.go(clinic.url(prompt="none", scope=scope)).answer["error"] == "consent_required"
    assert "code" in surfer.press(surfer.go(clinic.url(scope=scope)), "decision", "allow").answer
    assert "code" in surfer.go(clinic.url(prompt="none", scope=scope)).answer
    assert surfer.go(clinic.url(prompt="none", scope=scope + " patient/Goal.rs")).answer["error"] == "consent_required"
    assert clinic.surfer("practitioner").go(clinic.url(prompt="none")).answer["error"] == "interaction_required"


def test_standalone_app_is_asked_about_each_time(clinic: Clinic) -> None:
    # smart-120: there is no other place where a user could give it less than before
    for _ in range(2):
        surfer, page = clinic.consent()
        assert "code" in surfer.press(page, "decision", "allow").answer


def test_nonce_is_kept_for_the_id_token(clinic: Clinic) -> None:
    # smart-38
    surfer, page = clinic.consent(nonce="n-0S6_WzA2Mj")
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["nonce"] == "n-0S6_WzA2Mj"


def test_grant_and_refusal_are_audited(clinic: Clinic) -> None:
    # smart-247
    before = clinic.rows("audit")
    surfer, page = clinic.consent()
    surfer.press(page, "decision", "allow")
    assert clinic.rows("audit") > before


def test_post_without_the_cookie_goes_on_with_it(clinic: Clinic) -> None:
    # smart-26, smart-38: SameSite=Lax keeps the cookie from an app's POST; the session counts all the same
    url = f"/t/{clinic.tenant.slug}/oauth/authorize"
    for changed, expected in (({}, "decision"), ({"prompt": "login"}, 'name="username"'), ({"max_age": "0"}, 'name="username"')):
        sent = Surfer(clinic.tenant.slug).go(url, urlencode(clinic.asked(**changed)), follow=False)
        assert sent.status == 303
        signed_in = clinic.surfer("patient")
        assert expected in signed_in.go(sent.headers["Location"]).text
    none = Surfer(clinic.tenant.slug).go(url, urlencode(clinic.asked(prompt="none", scope="openid patient/Media.rs")), follow=False)
    assert clinic.surfer("patient").go(none.headers["Location"]).answer["error"] == "consent_required"


def test_context_that_cannot_be_given_is_not_granted(clinic: Clinic) -> None:
    # smart-155
    app = clinic.app(scope="openid launch/patient launch/location patient/Patient.rs")
    surfer, page = clinic.consent(client_id=app, scope="openid launch/patient launch/location?role=x patient/Patient.rs")
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert clinic.grant()["scope"] == "openid launch/patient patient/Patient.rs"
