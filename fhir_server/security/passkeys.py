"""Passkeys (WebAuthn level 3, discoverable credentials with user verification). https://www.w3.org/TR/webauthn-3/

A challenge belongs to one browser session and is good once: its hash is a row like that of a code.
"""

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from fhir_server.core.context import Tenant
from fhir_server.storage import accounts, credentials
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

_SECONDS = 300
MOST = 20


class BadPasskey(Exception):
    """The browser's answer does not prove what it should."""


def registration(db: Session, tenant: Tenant, account: Account, holder: bytes, origin: str) -> str:
    """Options (JSON) for `navigator.credentials.create`, for the session of digest `holder`. The caller commits."""
    options = webauthn.generate_registration_options(
        rp_id=_host(origin),
        rp_name=tenant.name,
        # The handle names the account to authenticators; it must not name the person.
        user_id=account.id.encode(),
        user_name=account.email,
        user_display_name=account.name or account.email,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=known.credential_id)
            for known in credentials.passkeys_of(db, tenant.id, account.id)
        ],
    )
    _keep(db, tenant.id, holder, "passkey-new", options.challenge)
    return options_to_json(options)


def register(
    db: Session, tenant: Tenant, account: Account, holder: bytes, origin: str, answer: str, name: str
) -> None:
    """Keep the passkey that the browser made. Raises `BadPasskey`. The caller commits, either way."""
    challenge = _take(db, tenant.id, holder, "passkey-new", answer)
    if account.passkeys >= MOST:
        raise BadPasskey
    try:
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=_host(origin),
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise BadPasskey from None
    if credentials.passkey(db, tenant.id, made.credential_id) is not None:
        raise BadPasskey
    db.run(
        [
            credentials.add_passkey(
                tenant.id, account.id, made.credential_id, made.credential_public_key, made.sign_count, name
            )
        ]
    )


def authentication(db: Session, tenant: Tenant, holder: bytes, origin: str) -> str:
    """Options (JSON) for `navigator.credentials.get`: any passkey of this host. The caller commits."""
    options = webauthn.generate_authentication_options(
        rp_id=_host(origin), user_verification=UserVerificationRequirement.REQUIRED
    )
    _keep(db, tenant.id, holder, "passkey", options.challenge)
    return options_to_json(options)


def authenticate(db: Session, tenant: Tenant, holder: bytes, origin: str, answer: str) -> Account:
    """The active account whose passkey signed this session's challenge. Raises `BadPasskey`. The caller commits."""
    challenge = _take(db, tenant.id, holder, "passkey", answer)
    try:
        known = credentials.passkey(db, tenant.id, base64url_to_bytes(json.loads(answer)["rawId"]))
        if known is None:
            raise BadPasskey
        seen = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=_host(origin),
            expected_origin=origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise BadPasskey from None
    account = accounts.by_id(db, tenant.id, known.user_id)
    if account is None or account.status != "active":
        raise BadPasskey
    if not db.run([credentials.use_passkey(tenant.id, known.credential_id, seen.new_sign_count)])[0]:
        raise BadPasskey
    return account


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _keep(db: Session, tenant_id: int, holder: bytes, purpose: str, challenge: bytes) -> None:
    digest = sha256(challenge).digest()
    db.run([credentials.save_code(tenant_id, f"session:{holder.hex()}", purpose, digest, _SECONDS)])


def _take(db: Session, tenant_id: int, holder: bytes, purpose: str, answer: str) -> bytes:
    """The challenge that the answer is to, if it is the session's own open one; it is used up."""
    try:
        said: Any = json.loads(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
        challenge = base64url_to_bytes(str(said["challenge"]))
    except (ValueError, KeyError, TypeError):
        raise BadPasskey from None
    digest = sha256(challenge).digest()
    rows = db.run([credentials.try_code(tenant_id, f"session:{holder.hex()}", purpose, digest, 1)])[0]
    if not rows or rows[0][0] != b"t":
        raise BadPasskey
    return challenge
