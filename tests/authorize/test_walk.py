"""The ways through the authorization endpoint: sign-in, picker, consent, code."""

from tests.authorize.conftest import PASSWORD, Clinic
from tests.authorize.surfer import Surfer


def test_patient_walks_from_sign_in_to_the_code(clinic: Clinic) -> None:
    # smart-25, smart-44, smart-46, smart-47, smart-48, smart-118, smart-156
    surfer = Surfer(clinic.tenant.slug)
    page = surfer.go(clinic.url())
    assert "username" in page.text
    page = surfer.sign_in(page, clinic.people["patient"], PASSWORD)
    assert "decision" in page.text, page.text
    assert "Amina Benali" in page.text
    page = surfer.press(page, "decision", "allow")
    assert page.answer["state"] == "s 1"
    assert page.answer["iss"] == clinic.issuer
    assert page.answer["code"]
    grant = clinic.grant()
    assert grant["scope"] == clinic.asked()["scope"]
    assert grant["context"]["patient"] == clinic.patients["amina"]
    assert grant["context"]["need_patient_banner"] is True
