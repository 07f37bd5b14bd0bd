"""Public keys of clients: checking a registered set, fetching one by URL, picking the key of a signature.

Key sets at a URL are remembered per process as long as their Cache-Control says, at most an hour. A `kid` that is not
in a remembered set makes it be fetched again, once a minute at most, so nobody can make this server fetch at will.
https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhir_server.security import outbound
from fhir_server.security.oauth import redirects

# What SMART demands (RS384, ES384) and what is as good: algorithm -> the key type and, for curves, the curve.
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS384": ("RSA", None),
    "ES384": ("EC", "P-384"),
    "RS256": ("RSA", None),
    "PS384": ("RSA", None),
    "ES256": ("EC", "P-256"),
}
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192
_MOST_KEYS = 100
_MOST_SETS = 1000
_LONGEST_S, _USUAL_S, _BETWEEN_NEW_KIDS_S, _AFTER_FAILURE_S = 3600, 300, 60, 5

Keys = list[dict[str, Any]]


@dataclass(slots=True)
class _Held:
    keys: Keys
    until: float
    next_new_kid: float
    next_try: float = 0.0


_sets: OrderedDict[tuple[int, str, str], _Held] = OrderedDict()


def check_registered(jwks: object) -> None:
    """Raise ValueError with the reason when a key set cannot be registered."""
    keys = _keys_of(jwks)
    if not keys:
        raise ValueError("jwks holds no key.")
    kids = [key.get("kid") for key in keys]
    if not all(_is_kid(kid) for kid in kids) or len(set(kids)) != len(kids):
        raise ValueError("Every key of jwks has a kid of its own.")
    for key in keys:
        if _PRIVATE & key.keys():
            raise ValueError("jwks holds public keys only, and no shared secrets.")
        if not any(_public_key(key, alg) for alg in ALGORITHMS):
            raise ValueError(
                "Keys are RSA of 2048 bits or more, or EC on P-256 or P-384, for one of " + ", ".join(ALGORITHMS) + "."
            )


def may_be_fetched(uri: object) -> bool:
    """Whether a `jwks_uri` can be registered; which addresses are reached is decided when it is fetched."""
    return redirects.is_web_url(uri)


def pick(keys: Sequence[Mapping[str, Any]], kid: str, alg: str) -> RSAKey | ECKey | None:
    """The one key of this `kid` that fits the algorithm; None when there is none or more than one."""
    found = [key for each in keys if each.get("kid") == kid and (key := _public_key(each, alg)) is not None]
    return found[0] if len(found) == 1 else None


def fetched(place: tuple[int, str, str], kid: str) -> Keys:
    """The key set at a client's URL. place: tenant, client_id, URL. Raises ValueError when it cannot be had."""
    now = time.monotonic()
    held = _sets.get(place)
    if held is None:
        return _fetch(place, now, next_new_kid=now)
    known = any(key.get("kid") == kid for key in held.keys)
    if known and now < held.until:
        return held.keys
    if now < held.next_try:
        raise ValueError("The key set could not be fetched a moment ago.")
    if not known and now < held.next_new_kid:
        return held.keys
    return _fetch(place, now, next_new_kid=held.next_new_kid if known else now + _BETWEEN_NEW_KIDS_S)


def _fetch(place: tuple[int, str, str], now: float, next_new_kid: float) -> Keys:
    # Until it has come, others do not ask for it too often.
    _sets[place] = _Held([], now, next_new_kid, now + _AFTER_FAILURE_S)
    if len(_sets) > _MOST_SETS:
        _sets.popitem(last=False)
    try:
        answer = outbound.get(place[2], max_bytes=200_000, seconds=3, accept="application/json")
        keys = _keys_of(msgspec.json.decode(answer.body))
    except (outbound.Refused, outbound.Unreachable, msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError("The key set cannot be fetched.") from error
    life = min(_USUAL_S if answer.max_age is None else answer.max_age, _LONGEST_S)
    _sets[place] = _Held(keys, time.monotonic() + life, next_new_kid)
    return keys


def _keys_of(jwks: object) -> Keys:
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS or not all(isinstance(key, dict) for key in keys):
        raise ValueError("A key set is an object with a list of keys.")
    return keys


def _is_kid(kid: object) -> bool:
    return isinstance(kid, str) and 0 < len(kid) <= 255


def _public_key(jwk: Mapping[str, Any], alg: str) -> RSAKey | ECKey | None:
    """The key, if it can verify signatures of this algorithm. Only its public numbers are looked at."""
    kty, curve = ALGORITHMS[alg]
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("kty") != kty or jwk.get("use", "sig") != "sig" or jwk.get("alg", alg) != alg:
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        if kty == "EC":
            if jwk.get("crv") != curve:
                return None
            return ECKey.import_key({name: _text(jwk[name]) for name in ("kty", "crv", "x", "y")})
        # A short modulus is refused before any library looks at it.
        if not _SMALLEST_RSA <= len(_text(jwk["n"])) * 6 <= _LARGEST_RSA + 16:
            return None
        key = RSAKey.import_key({name: _text(jwk[name]) for name in ("kty", "n", "e")})
        return key if key.raw_value.key_size >= _SMALLEST_RSA else None
    except (JoseError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
