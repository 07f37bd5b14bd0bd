"""Client authentication by a signed JWT (`private_key_jwt`). RFC 7523, SMART App Launch 2.2

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint
Signatures are verified by joserfc. Authlib's `JWTBearerClientAssertion` is not used: it refuses RS384 and ES384,
accepts an `exp` ten years ahead and arrays as `aud`, and leaves replay to a check that races. Everything refused here
is `invalid_client`; what a description tells rests on the assertion alone, never on what is registered.
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from authlib.oauth2.rfc6749.errors import InvalidClientError
from joserfc import jws
from joserfc.errors import JoseError

from fhir_server.security.oauth import client_keys, clients
from fhir_server.security.oauth.clients import Client
from fhir_server.storage import oauth_assertions
from fhir_server.storage.session import Session

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST, _LONGEST_HEADER = 16 * 1024, 4096
_LIFE_S, SKEW_S = 300, 60
_TYPES = (None, "jwt", "client-authentication+jwt")
# Headers that would say where the key is: never followed (CVE-2026-27962).
_NOT_TRUSTED = ("jwk", "x5u", "x5c", "crit", "b64")


def client_of(db: Session, tenant_id: int, assertion: str, given_id: str | None, audiences: tuple[str, ...]) -> Client:
    """The client that signed. `given_id`: the request's client_id, if any; `audiences`: our token URL and issuer.

    Raises `InvalidClientError`. Keeps the assertion's `jti` in the caller's transaction.
    """
    header, claims = _parts(assertion)
    _check_header(header)
    client_id, jti, exp = _check_claims(claims, given_id, audiences)
    client = clients.find(db, tenant_id, client_id)
    # No transaction stays open while the client's server is asked for its keys.
    db.commit()
    if client is None or not client.active or client.auth_method != "private_key_jwt":
        raise refused()
    _verify(tenant_id, client, header, assertion)
    name = sha256(f"{client_id}\n{jti}".encode("utf-8", "surrogatepass")).digest()
    if not oauth_assertions.remember(db, tenant_id, name, exp + SKEW_S + 1):
        raise refused("The assertion was used before (jti).")
    return client


def refused(description: str = "Client authentication failed.") -> InvalidClientError:
    """401 invalid_client."""
    return InvalidClientError(description, status_code=401)


def _parts(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if len(assertion) > _LONGEST or not assertion.isascii():
        raise refused("The assertion is too long or no JWT.")
    try:
        opened = jws.extract_compact(assertion.encode(), registry=_registry("RS384"))
        header, claims = opened.protected, msgspec.json.decode(opened.payload)
    except (JoseError, ValueError, RecursionError, TypeError, KeyError):
        raise refused("The assertion is no JWT.") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise refused("The assertion is no JWT.")
    return header, claims


def _check_header(header: Mapping[str, Any]) -> None:
    if not isinstance(header.get("alg"), str) or header["alg"] not in client_keys.ALGORITHMS:
        raise refused("alg is one of " + ", ".join(client_keys.ALGORITHMS) + ".")
    if any(name in header for name in _NOT_TRUSTED):
        raise refused("The headers jwk, x5u, x5c, crit and b64 are not accepted.")
    typ = header.get("typ")
    if not (typ is None or isinstance(typ, str)) or (typ and typ.lower()) not in _TYPES:
        raise refused("typ is JWT.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255:
        raise refused("kid is missing.")


def _check_claims(
    claims: Mapping[str, Any], given_id: str | None, audiences: tuple[str, ...]
) -> tuple[str, str, int]:
    issuer, jti, exp = claims.get("iss"), claims.get("jti"), claims.get("exp")
    if not isinstance(issuer, str) or issuer != claims.get("sub") or given_id not in (None, issuer):
        raise refused("iss and sub are both the client_id.")
    # A plain string: an array with ours and another one in it is how an assertion is taken elsewhere.
    if claims.get("aud") not in audiences:
        raise refused("aud is the URL of the token endpoint, as a string.")
    now = time.time()
    if exp is None or not _is_time(exp) or not now - SKEW_S < exp <= now + _LIFE_S + SKEW_S:
        raise refused("exp is missing, over, or more than five minutes away.")
    for name in ("nbf", "iat"):
        if name in claims and not (_is_time(claims[name]) and claims[name] <= now + SKEW_S):
            raise refused(f"{name} is in the future.")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255:
        raise refused("jti is a text of 1 to 255 characters.")
    return issuer, jti, int(exp)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


def _verify(tenant_id: int, client: Client, header: Mapping[str, Any], assertion: str) -> None:
    if "jku" in header and (client.jwks_uri is None or header["jku"] != client.jwks_uri):
        raise refused()
    kid, alg = header["kid"], header["alg"]
    try:
        if client.jwks_uri is not None:
            keys = client_keys.fetched((tenant_id, client.client_id, client.jwks_uri), kid)
        else:
            keys = (client.jwks or {}).get("keys", [])
        key = client_keys.pick(keys, kid, alg)
        if key is None:
            raise refused()
        jws.deserialize_compact(assertion, key, registry=_registry(alg))
    except (JoseError, ValueError):
        raise refused() from None


@lru_cache(maxsize=len(client_keys.ALGORITHMS))
def _registry(alg: str) -> jws.JWSRegistry:
    # Extension headers are let be; those that matter were judged above.
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length = _LONGEST_HEADER
    return registry
