"""What ends an authorization request: the grant with its code, or the refusal. RFC 6749 section 4.1.2"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.security import audit
from fhir_server.security.audit_events import MINOR, SUCCESS
from fhir_server.security.oauth import granting, grants, launch
from fhir_server.security.oauth.authorize import Asked, Refused
from fhir_server.security.oauth.clients import Client
from fhir_server.security.roles import Role
from fhir_server.security.scopes import parse_scope
from fhir_server.storage import oauth_launches
from fhir_server.storage.oauth_launches import Launch
from fhir_server.storage.session import Session, Statement

# Context that a standalone app can be given here.
_CONTEXTS = ("launch/patient", "launch/encounter")


@dataclass(frozen=True, slots=True)
class Approver:
    """The user who lets the app have something, and the web session in which they do. `auth_time`: when they signed in
    (seconds since 1970); `amr`: how."""

    user_id: str
    session_hash: bytes
    amr: Sequence[str]
    auth_time: int
    role: Role


def is_stale(asked: Asked, auth_time: int) -> bool:
    """Whether a sign-in of that time does not do for the request (prompt=login, max_age)."""
    if not asked.prompt.isdisjoint(("login", "select_account")):
        return True
    # max_age=0 is prompt=login, also in the second of the sign-in.
    return asked.max_age is not None and (asked.max_age == 0 or time.time() - auth_time > asked.max_age)


def opened_by(db: Session, tenant_id: int, asked: Asked, user_id: str) -> Launch | None:
    """The EHR launch that the request names; None for a standalone one. Raises `Refused` when it is not good for this
    app and user."""
    if asked.launch is None:
        return None
    found = launch.find(db, tenant_id, asked.launch)
    if found is None or found.client_id != asked.client_id:
        raise Refused("invalid_request", "The launch is unknown, was used before, or is older than five minutes.")
    if found.user_id != user_id:
        raise Refused("access_denied", "Somebody else is signed in than the user who opened the app.")
    return found


def offered(asked: Asked, client: Client, role: Role, registry: Registry) -> str:
    """The scopes of the request that a user of the role can let the client have. Raises `Refused` for none."""
    found = granting.for_user(asked.scope, client, role, registry)
    scope = " ".join(text for text in found if not text.startswith("launch/") or text.partition("?")[0] in _CONTEXTS)
    check_offered(scope)
    return scope


def check_offered(scope: str, error: str = "invalid_scope") -> None:
    """Raise `Refused` when a scope text gives neither a right to resources nor an identity."""
    texts = scope.split()
    if "openid" not in texts and not any(parse_scope(each) for each in texts):
        raise Refused(error, "None of the scopes asked for can be granted.")


def granted_before(
    db: Session, tenant_id: int, client: Client, user_id: str, offered: str, context: Mapping[str, Any]
) -> bool:
    """Whether the user lately let the same client have just this, for the same patient, so need not be asked again.

    A native app on the user's machine can be impersonated by another one, so is always asked about (RFC 8252 8.6).
    """
    if client.native:
        return False
    return oauth_launches.granted_before(
        db, tenant_id, client.client_id, user_id, offered, str(context.get("patient") or "")
    )


def issue(
    db: Session,
    tenant_id: int,
    client: Client,
    asked: Asked,
    person: Approver,
    scope: str,
    context: Mapping[str, Any],
) -> str:
    """Open the grant and give its code, in one transaction with the launch that is used up and the note in the audit
    log. `context`: as the token response will have it. Raises `Refused` when the launch is no longer good."""
    if asked.launch is not None:
        used = launch.use(db, tenant_id, asked.launch, client_id=client.client_id, user_id=person.user_id)
        if used is None:
            db.rollback()
            raise Refused("invalid_request", "The launch is unknown, was used before, or is older than five minutes.")
    lasting = granting.refreshes(scope, client) and "offline_access" in scope.split()
    grant_id = grants.open_grant(
        db, tenant_id, client=client, user_id=person.user_id, session_hash=None if lasting else person.session_hash,
        scope=scope, context=context, purpose=person.role.purposes[0], nonce=asked.nonce, amr=person.amr,
        auth_time=person.auth_time,
    )  # fmt: skip
    code = grants.issue_code(
        db, tenant_id, grant_id=grant_id, client_id=client.client_id, redirect_uri=asked.destination.redirect_uri,
        challenge=asked.challenge,
    )  # fmt: skip
    detail = {"scope": scope, "grant": grant_id} | ({"patient": context["patient"]} if "patient" in context else {})
    db.run([_note(db, tenant_id, "grant", client, person.user_id, person.role, detail)])
    db.commit()
    return code


def deny(db: Session, tenant_id: int, client: Client, user_id: str, role: Role) -> None:
    """Note that the user let the client have nothing."""
    db.run([_note(db, tenant_id, "grant-denied", client, user_id, role, {"reason": "user"})], final=True)


def _note(
    db: Session, tenant_id: int, event: str, client: Client, user_id: str, role: Role, detail: Mapping[str, Any]
) -> Statement:
    outcome = SUCCESS if event == "grant" else MINOR
    return audit.note(
        db, tenant_id, event, outcome=outcome, agent=f"user:{user_id}", client_id=client.client_id,
        purpose=role.purposes[0], detail=dict(detail),
    )  # fmt: skip
