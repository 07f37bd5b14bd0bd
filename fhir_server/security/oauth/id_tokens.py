"""Who the user is: id_tokens, the keys that sign them, userinfo. OpenID Connect Core 1.0

Signed by joserfc with RS256, which OpenID Connect makes every server support. Each tenant has its own keys; their
private parts lie sealed in the database. A retired key stays published for two days, longer than any id_token lives.
"""

import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc import jwt
from joserfc.jwk import RSAKey

from fhir_server.security import audit, sealing
from fhir_server.security.oauth.urls import Realm, Urls
from fhir_server.storage import signing_keys
from fhir_server.storage.oauth_grants import Grant
from fhir_server.storage.session import Session
from fhir_server.storage.signing_keys import SigningKey

ALGORITHM = "RS256"
SECONDS = 3600
_PUBLISHED_DAYS = 2
_BITS = 2048
_SEALED_FOR = "signing-key"


def make(db: Session, realm: Realm, client_id: str, grant: Grant, scope: str) -> str:
    """The id_token of a grant that a user made."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": realm.urls.issuer,
        "aud": client_id,
        "exp": now + SECONDS,
        "iat": now,
        **identity(grant.subject, grant.fhir_user, scope, realm.urls),
    }
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    if grant.auth_time is not None:
        claims["auth_time"] = grant.auth_time
    if grant.amr:
        claims["amr"] = list(grant.amr)
    held = _current(db, realm.tenant_id)
    try:
        private = _private(db, realm.tenant_id, held)
    except sealing.Unsealable:
        # The data key that sealed it was destroyed; what it signed stays good as long as it is published.
        rotate(db, realm.tenant_id)
        held = _current(db, realm.tenant_id)
        private = _private(db, realm.tenant_id, held)
    return jwt.encode({"alg": ALGORITHM, "kid": held.kid, "typ": "JWT"}, claims, private)


def identity(subject: str | None, fhir_user: str | None, scope: str, urls: Urls) -> dict[str, Any]:
    """The claims that say who it is: `sub`, and `fhirUser` as an absolute URL where that scope was granted."""
    claims = {"sub": subject or ""}
    if fhir_user and "fhirUser" in scope.split():
        claims["fhirUser"] = f"{urls.fhir}/{fhir_user}"
    return claims


def public_keys(db: Session, tenant_id: int) -> dict[str, Any]:
    """The tenant's key set, without private members; makes the first key. The caller commits."""
    _current(db, tenant_id)
    return {"keys": signing_keys.published(db, tenant_id, _PUBLISHED_DAYS)}


def rotate(db: Session, tenant_id: int) -> str:
    """Sign with a new key from now on; gives its kid. The caller commits."""
    signing_keys.wait_turn(db, tenant_id)
    kid = _add(db, tenant_id)
    db.run([audit.note(db, tenant_id, "key-rotated", detail={"kid": kid})])
    return kid


def _current(db: Session, tenant_id: int) -> SigningKey:
    held = signing_keys.current(db, tenant_id)
    if held is None:
        # Of several processes that need the first key at once, one makes it and the others wait for it.
        signing_keys.wait_turn(db, tenant_id)
        held = signing_keys.current(db, tenant_id)
    if held is None:
        _add(db, tenant_id)
        held = signing_keys.current(db, tenant_id)
    assert held is not None
    return held


def _private(db: Session, tenant_id: int, held: SigningKey) -> RSAKey:
    opened = sealing.unseal(db, tenant_id, held.private_sealed, _SEALED_FOR)
    # Checking the primes takes 30 ms; that the key is the one that was made here, the seal says.
    key = load_der_private_key(opened, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    return RSAKey(key, key)


def _add(db: Session, tenant_id: int) -> str:
    key = RSAKey.generate_key(_BITS, private=True)
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    sealed = sealing.seal(db, tenant_id, key.as_der(private=True), _SEALED_FOR)
    signing_keys.add(db, tenant_id, kid, public, sealed)
    return kid
