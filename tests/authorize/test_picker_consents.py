"""The pickers obey the patients' consents and break-glass like every request of the user."""

import pytest

from fhir_server.cli.launch import new_launch
from fhir_server.core.errors import NotFound
from tests.authorize.conftest import Clinic
from tests.authorize.surfer import Page, Surfer
from tests.authorize.test_picker import ASKED, find, found, pick
from tests.consent.words import consent

_OPEN = (
    "INSERT INTO break_glass (tenant_id, break_id, user_id, patient_id, purpose, reason_sealed, expires_at)"
    " SELECT tenant_id, 'b1', user_id, $2, 'BTG', '', now() + interval '10 minutes' FROM user_account"
    " WHERE tenant_id = $1 AND email = $3"
)


@pytest.fixture(scope="module")
def hidden(clinic: Clinic) -> str:
    """A patient who denies everything to everybody."""
    fhir = clinic.tenant.client()
    made = fhir.create({"resourceType": "Patient", "name": [{"family": "Secret", "given": ["Samira"]}], "birthDate": "1970-01-01"})
    fhir.create(consent(made["id"], {"type": "deny"}))
    return str(made["id"])


def looked(clinic: Clinic, text: str) -> tuple[Surfer, Page]:
    """A doctor's picker after a search."""
    surfer = clinic.surfer("practitioner")
    return surfer, find(surfer, surfer.go(clinic.url(scope=ASKED)), text)


def test_denied_patient_is_not_found_nor_opened(clinic: Clinic, hidden: str) -> None:
    # smart-156
    for text in ("Secret", "1970-01-01", hidden):
        surfer, page = looked(clinic, text)
        assert found(page) == set()
    assert pick(surfer, page, hidden).answer["error"] == "access_denied"
    assert surfer.go(f"/t/{clinic.tenant.slug}/oauth/launch?patient={hidden}").status == 404
    with pytest.raises(NotFound):
        new_launch(clinic.tenant.slug, clinic.client_id, clinic.people["practitioner"], hidden)


def test_break_glass_opens_the_record_for_apps(clinic: Clinic, hidden: str) -> None:
    # smart-156
    clinic.do(lambda db: db.run([(_OPEN, (clinic.tenant.id, hidden, clinic.people["practitioner"]))]))
    surfer, page = looked(clinic, "Secret")
    assert found(page) == {hidden}
    page = pick(surfer, page, hidden)
    assert "code" in surfer.press(page, "decision", "allow").answer
    assert surfer.go(f"/t/{clinic.tenant.slug}/oauth/launch?patient={hidden}").status == 200
