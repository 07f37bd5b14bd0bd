"""From the pages to the token endpoint and to FHIR: what the user let pass is what the token can do."""

from typing import Any
from urllib.parse import urlencode

from fhir_server.cli.launch import new_launch
from tests.authorize.conftest import REDIRECT, VERIFIER, Clinic
from tests.authorize.surfer import Surfer
from tests.client import Client


def redeem(clinic: Clinic, code: str, **changed: str) -> tuple[int, dict[str, Any]]:
    """The token endpoint's answer to a code."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
        "client_id": clinic.client_id, **changed,
    }  # fmt: skip
    response = Surfer(clinic.tenant.slug).wsgi.post(
        f"/t/{clinic.tenant.slug}/oauth/token", data=urlencode(form), content_type="application/x-www-form-urlencoded"
    )
    return response.status_code, response.json or {}


def test_standalone_token_opens_what_was_allowed(clinic: Clinic) -> None:
    # smart-25, smart-46, smart-62, smart-70, smart-120, smart-133, smart-149, smart-151
    surfer, page = clinic.consent(scope="launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs patient/Condition.rs")
    form = page.form("decision")
    boxes = [pair for pair in form.boxes if pair != ("allow", "patient.see.Condition")]
    code = surfer.go(form.action, [*form.fields, *boxes, ("decision", "allow")]).answer["code"]
    status, token = redeem(clinic, code)
    assert status == 200, token
    assert token["patient"] == clinic.patients["amina"] and token["need_patient_banner"] is True
    assert token["scope"].split() == ["launch/patient", "openid", "fhirUser", "patient/Patient.rs", "patient/Observation.rs"]
    fhir = Client(clinic.tenant.slug, token["access_token"])
    assert fhir.get(f"Patient/{token['patient']}").status == 200
    assert fhir.get(f"Patient/{clinic.patients['zoe']}").status == 404
    assert fhir.get("Observation").status == 200
    assert fhir.get("Condition").status == 403
    # smart-50
    assert redeem(clinic, code)[1]["error"] == "invalid_grant"


def test_code_is_bound_to_the_redirect_uri_and_verifier(clinic: Clinic) -> None:
    # smart-52
    for changed in ({"redirect_uri": "https://app.example/other"}, {"code_verifier": "x" * 43}):
        surfer, page = clinic.consent()
        code = surfer.press(page, "decision", "allow").answer["code"]
        assert redeem(clinic, code, **changed)[1]["error"] == "invalid_grant"


def test_ehr_launch_token_has_the_context(clinic: Clinic) -> None:
    # smart-56, smart-149, smart-150, smart-154
    made = clinic.tenant.client().create(
        {
            "resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{clinic.patients['zoe']}"},
        }
    )  # fmt: skip
    found = new_launch(
        clinic.tenant.slug, clinic.client_id, clinic.people["practitioner"], clinic.patients["zoe"], made["id"], "order"
    )
    surfer = clinic.surfer("practitioner")
    page = surfer.go(clinic.url(scope="launch openid fhirUser offline_access user/*.rs", launch=str(found["launch"])))
    status, token = redeem(clinic, surfer.press(page, "decision", "allow").answer["code"])
    assert status == 200, token
    assert (token["patient"], token["encounter"], token["intent"]) == (clinic.patients["zoe"], made["id"], "order")
    assert token["refresh_token"] and isinstance(token["tenant"], str)
    fhir = Client(clinic.tenant.slug, token["access_token"])
    assert fhir.get(f"Encounter/{made['id']}").status == 200
    assert fhir.get(f"Patient/{clinic.patients['amina']}").status == 200
