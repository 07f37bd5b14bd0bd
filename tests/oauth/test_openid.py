"""OpenID Connect: smart-checklist section J."""

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fhir_server.rest.dispatch import session
from fhir_server.security.oauth import id_tokens
from tests.oauth.place import Place, at_once, request


def _part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def _jwks(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request("GET", place.url("jwks")).body)
    return found


def test_the_id_token(place: Place) -> None:
    """smart-91 smart-94 smart-95 smart-96 smart-97"""
    app, user = place.app(), place.user("practitioner", "Practitioner/dr")
    tokens = place.redeem(app, place.code(app, place.grant(app, user, "openid fhirUser launch/patient patient/*.rs"))).json
    header, claims = _part(tokens["id_token"], 0), _part(tokens["id_token"], 1)
    keys = _jwks(place)
    assert header["alg"] == "RS256" and header["kid"] in [key["kid"] for key in keys["keys"]]
    assert jwt.decode(tokens["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"]).claims == claims
    assert claims["iss"] == place.url("x").removesuffix("/x")
    assert claims["aud"] == app.id and claims["nonce"] == "n-0" and claims["amr"] == ["pwd", "otp"]
    assert claims["exp"] > time.time() >= claims["iat"] and time.time() - 300 <= claims["auth_time"] <= time.time()
    assert 0 < len(claims["sub"]) <= 255 and claims["sub"] != user
    assert claims["fhirUser"] == f"{place.base}/Practitioner/dr"
    assert set(claims) == {"iss", "aud", "exp", "iat", "sub", "nonce", "amr", "auth_time", "fhirUser"}


def test_who_the_user_is_can_be_read(place: Place) -> None:
    """smart-97 smart-98 smart-107"""
    admin = place.tenant.client()
    admin.put("Practitioner/dr", {"resourceType": "Practitioner", "id": "dr"})
    admin.put("Patient/p1", {"resourceType": "Patient", "id": "p1"})
    app = place.app()
    tokens = place.tokens(app, "openid fhirUser offline_access user/Practitioner.rs patient/Patient.rs")
    for given in (tokens, place.refresh(app, tokens["refresh_token"]).json):
        bearer = f"Bearer {given['access_token']}"
        url = _part(tokens["id_token"], 1)["fhirUser"]
        read = request("GET", url, authorization=bearer, origin="https://app.example")
        assert read.status == 200 and read.json["resourceType"] == "Practitioner"
        assert read.headers["Access-Control-Allow-Origin"] in ("*", "https://app.example")
        patient = request("GET", f"{place.base}/Patient/{given['patient']}", authorization=bearer)
        assert patient.status == 200 and patient.json["resourceType"] == "Patient"


def test_what_was_not_granted_is_not_told(place: Place) -> None:
    """smart-99"""
    app = place.app()
    assert "fhirUser" not in _part(place.tokens(app, "openid patient/*.rs")["id_token"], 1)
    assert "id_token" not in place.tokens(app, "fhirUser patient/*.rs")
    nameless = place.redeem(app, place.code(app, place.grant(app, place.user(fhir_user=""), "openid fhirUser", nonce=None))).json
    assert not {"fhirUser", "nonce"} & _part(nameless["id_token"], 1).keys()


def test_the_subject_is_of_the_tenant(place: Place, other: Place) -> None:
    """smart-101"""
    app = place.app()
    user = place.user()
    subs = {
        _part(place.redeem(app, place.code(app, place.grant(app, user))).json["id_token"], 1)["sub"] for _ in range(2)
    }
    assert len(subs) == 1
    assert _part(other.tokens(other.app())["id_token"], 1)["sub"] not in subs


def test_keys_hold_nothing_private_and_may_be_kept_a_while(place: Place) -> None:
    """smart-94 smart-100"""
    answer = request("GET", place.url("jwks"), origin="https://a.example")
    assert "max-age=" in answer.headers["Cache-Control"] and answer.headers["Access-Control-Allow-Origin"] == "*"
    keys = answer.json["keys"]
    assert keys and all(key["kty"] == "RSA" for key in keys)
    assert all(set(key) == {"kty", "n", "e", "kid", "use", "alg"} for key in keys)
    stored = place.sql("SELECT t::text FROM signing_key AS t WHERE tenant_id = $1")[0][0] or b""
    assert b'"d"' not in stored


def test_rotation(other: Place) -> None:
    """smart-100"""
    app = other.app()
    before = other.tokens(app)["id_token"]
    other.within(lambda db: id_tokens.rotate(db, other.tenant.id))
    after = other.tokens(app)["id_token"]
    old, new = _part(before, 0)["kid"], _part(after, 0)["kid"]
    assert old != new
    published = [key["kid"] for key in _jwks(other)["keys"]]
    assert {old, new} <= set(published)
    jwt.decode(before, KeySet.import_key_set(_jwks(other)), algorithms=["RS256"])
    other.sql("UPDATE signing_key SET retired_at = now() - interval '49 hours' WHERE tenant_id = $1 AND retired_at IS NOT NULL")
    assert [key["kid"] for key in _jwks(other)["keys"]] == [new]


def test_a_key_that_cannot_be_opened_is_replaced(other: Place) -> None:
    """sec-3: keys of a tenant can be destroyed; signing in goes on."""
    from fhir_server.security import sealing

    app = other.app()
    before = _part(other.tokens(app)["id_token"], 0)["kid"]
    other.within(lambda db: sealing.destroy(db, other.tenant.id))
    after = _part(other.tokens(app)["id_token"], 0)["kid"]
    assert before != after and {before, after} <= {key["kid"] for key in _jwks(other)["keys"]}


def test_the_first_key_is_made_once(new_tenant: Any) -> None:
    """smart-100: by whoever needs it first, also when several do."""
    fresh = Place(new_tenant())
    seen = at_once(6, lambda _: json.dumps(_jwks(fresh)))
    assert len(set(seen)) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_userinfo(place: Place, method: str) -> None:
    """smart-102"""
    app = place.app()
    tokens = place.tokens(app, "openid fhirUser patient/*.rs")
    answer = request(method, place.url("userinfo"), authorization=f"Bearer {tokens['access_token']}")
    claims = _part(tokens["id_token"], 1)
    assert answer.status == 200 and "no-store" in answer.headers["Cache-Control"]
    assert answer.json == {"sub": claims["sub"], "fhirUser": claims["fhirUser"]}


def test_userinfo_refuses(place: Place, other: Place) -> None:
    """smart-102 smart-242 smart-88"""
    without = place.tokens(place.app(), "patient/*.rs")["access_token"]
    answer = request("GET", place.url("userinfo"), authorization=f"Bearer {without}")
    assert answer.status == 403 and 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    good = place.tokens(place.app())
    foreign = request("GET", other.url("userinfo"), authorization=f"Bearer {good['access_token']}")
    for bad in ("", "Bearer garbage", f"Bearer {good['id_token']}", f"Bearer {good['refresh_token']}", "Basic x"):
        answer = request("GET", place.url("userinfo"), authorization=bad)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.body == foreign.body
    query = request("GET", place.url("userinfo") + f"?access_token={good['access_token']}")
    assert query.status == 401
    session().close()
