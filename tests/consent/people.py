"""Users of a tenant with a token each, for tests."""

import secrets
import time
import uuid

from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import access_tokens, oauth_grants, wire
from tests.client import Client
from tests.conftest import TestTenant

_ACCOUNT = (
    "INSERT INTO user_account (tenant_id, user_id, subject, email, role, fhir_user, patients)"
    " VALUES ($1, $2, $2, $3, $4, $5, $6)"
)
SCOPES = {"patient": "patient/*.cruds", "proxy": "patient/*.rs"}


def user(
    tenant: TestTenant,
    role: str,
    fhir_user: str | None = None,
    *,
    patient: str | None = None,
    purpose: str = "TREAT",
    signed_in: int | None = 0,
    client_id: str = "app",
    scope: str | None = None,
) -> Client:
    """A client with the token of a new user. `patient`: the launch context, and whom a proxy acts for; `signed_in`:
    seconds ago, None when it is not known."""
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(tenant.id, None, place.version)
    person = uuid.uuid4().hex
    account = (tenant.id, person, f"{person}@example.org", role, fhir_user, wire.texts([patient] if patient else []))
    scopes = scope or SCOPES.get(role, "user/*.cruds")
    grant = uuid.uuid4().hex
    value = secrets.token_urlsafe(32)
    db.run(
        [
            (_ACCOUNT, account),
            oauth_grants.open_grant(
                tenant.id, grant, client_id=client_id, user_id=person, session_hash=None, scope=scopes,
                context={"patient": patient} if patient else {}, purpose=purpose, nonce=None, amr=("pwd",),
                auth_time=None if signed_in is None else int(time.time()) - signed_in,
            ),
            access_tokens.save(
                tenant.id, token_digest(value), scope=scopes, client_id=client_id, seconds=3600,
                token_id=uuid.uuid4().hex, grant_id=grant, user_id=person,
            ),
        ],
        final=True,
    )  # fmt: skip
    return Client(tenant.slug, value)
