"""A clinic with patients, people and an app, for each module."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.security import accounts, web_sessions
from fhir_server.security.oauth import clients
from fhir_server.storage import tenants
from tests.authorize.surfer import Page, Surfer
from tests.client import ORIGIN
from tests.conftest import TestTenant

REDIRECT = "https://app.example/cb"
VERIFIER = "v" * 20 + "-._~" + "A1" * 20
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PASSWORD = "a long enough phrase 27"
SCOPE = "launch launch/patient launch/encounter openid fhirUser offline_access online_access patient/*.cruds user/*.cruds"


@dataclass
class Clinic:
    """A tenant and what stands in it. `people`: address by role."""

    tenant: TestTenant
    people: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    client_id: str = ""

    @property
    def base(self) -> str:
        """The FHIR base."""
        return f"{ORIGIN}/t/{self.tenant.slug}/fhir"

    @property
    def issuer(self) -> str:
        """The issuer."""
        return f"{ORIGIN}/t/{self.tenant.slug}/oauth"

    def do(self, work: Callable[[Any], Any]) -> Any:
        """Work on the tenant's database in one transaction."""
        db = session()
        state = tenants.find(db, self.tenant.slug)
        db.enter(state.tenant.id, None, state.registry_version)
        try:
            result = work(db)
            db.commit()
        finally:
            db.rollback()
        return result

    def app(self, client_id: str | None = None, **metadata: Any) -> str:
        """Register an app: its client_id."""
        given = {
            "client_name": "Suivi Tension", "redirect_uris": [REDIRECT], "scope": SCOPE,
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"], **metadata,
        }  # fmt: skip
        return str(self.do(lambda db: clients.register(db, self.tenant.id, given, client_id=client_id))[0].client_id)

    def person(self, role: str, **given: Any) -> str:
        """Make an account: its address."""
        email = given.pop("email", f"{role}@clinic.example")
        self.do(lambda db: accounts.create(db, self.tenant.id, email=email, role=role, password=PASSWORD, **given))
        self.people[role] = email
        return str(email)

    def asked(self, **changed: str | None) -> dict[str, str]:
        """A good request, changed; None takes a parameter away."""
        usual = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": REDIRECT, "state": "s 1",
            "scope": "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs",
            "aud": self.base, "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def url(self, **changed: str | None) -> str:
        """The URL of a request."""
        return f"/t/{self.tenant.slug}/oauth/authorize?{urlencode(self.asked(**changed))}"

    def surfer(self, role: str | None = None) -> Surfer:
        """A browser, signed in as somebody of a role (without the form, whose use is limited)."""
        made = Surfer(self.tenant.slug)
        if role is not None:
            made.wsgi.set_cookie(f"salam-{self.tenant.slug}", self.do(lambda db: self._session(db, role)), domain="testserver")
        return made

    def _session(self, db: Any, role: str) -> str:
        user = accounts.find(db, self.tenant.id, self.people[role])
        return web_sessions.start(db, self.tenant.id, user.id, amr=["pwd"], agent="")

    def consent(self, role: str = "patient", **changed: str | None) -> tuple[Surfer, Page]:
        """A browser that stands on the consent page."""
        surfer = self.surfer(role)
        page = surfer.go(self.url(**changed))
        if role != "patient" and 'name="q"' in page.text:
            form = page.form("q")
            page = surfer.go(form.action, [("csrf", dict(form.fields)["csrf"]), ("patient", self.patients["amina"])])
        assert "decision" in page.text, page.text
        return surfer, page

    def rows(self, table: str) -> int:
        """How many rows of a table are the tenant's."""
        found = self.do(lambda db: db.run([(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", (self.tenant.id,))]))
        return int(found[0][0][0])

    def grant(self) -> dict[str, Any]:
        """Scope and context of the newest grant."""
        import msgspec

        sql = (
            "SELECT json_build_object('scope', scope, 'context', context, 'session', session_hash IS NOT NULL,"
            " 'nonce', nonce, 'user', user_id) FROM oauth_grant WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT 1"
        )
        found: dict[str, Any] = msgspec.json.decode(self.do(lambda db: db.run([(sql, (self.tenant.id,))]))[0][0][0])
        return found


def _patient(family: str, given: str, born: str, number: str, phone: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:clinic", "value": number}],
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": phone}],
        "gender": "female",
        "birthDate": born,
    }


def make_clinic(tenant: TestTenant) -> Clinic:
    """Fill a tenant."""
    clinic = Clinic(tenant)
    fhir = tenant.client()
    clinic.patients["amina"] = fhir.create(_patient("Benali", "Amina", "1980-03-21", "F-1001", "0612345678"))["id"]
    clinic.patients["omar"] = fhir.create(_patient("Benali", "Omar", "2015-07-01", "F-1002", "0699999999"))["id"]
    clinic.patients["zoe"] = fhir.create(_patient("Zidane", "Zoe", "1990-01-01", "F-1003", "0611111111"))["id"]
    clinic.client_id = clinic.app("suivi-tension", launch_url="https://app.example/launch")
    doctor = fhir.create({"resourceType": "Practitioner", "name": [{"family": "Alami"}]})["id"]
    clinic.person("practitioner", fhir_user=f"Practitioner/{doctor}", name="Dr Alami")
    clinic.person("patient", fhir_user=f"Patient/{clinic.patients['amina']}", name="Amina Benali")
    relative = fhir.create({"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{clinic.patients['omar']}"}})
    clinic.person(
        "proxy", fhir_user=f"RelatedPerson/{relative['id']}", patients=[clinic.patients["omar"], clinic.patients["amina"]]
    )
    clinic.person("billing")
    return clinic


@pytest.fixture(scope="module")
def clinic(tenant: TestTenant) -> Clinic:
    """The module's clinic."""
    return make_clinic(tenant)


@pytest.fixture(scope="module")
def other(new_tenant: Callable[[], TestTenant]) -> Clinic:
    """Another tenant."""
    return make_clinic(new_tenant())
