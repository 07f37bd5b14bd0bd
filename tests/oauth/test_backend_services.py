"""Back-end systems and private_key_jwt: smart-checklist section R."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.oauth.place import ASSERTION, Place, at_once, error, public, sign

NOW = time.time


@pytest.mark.parametrize("alg", ["RS384", "ES384", "RS256", "PS384", "ES256"])
def test_a_signed_request_gets_a_short_token(place: Place, alg: str) -> None:
    """smart-174 smart-175 smart-193 smart-116 smart-188"""
    key = ECKey.generate_key("P-256") if alg == "ES256" else None
    answer = place.system_token(place.backend(alg, key))
    assert answer.status == 200, answer.text
    body = answer.json
    assert "no-store" in answer.headers["Cache-Control"]
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert body["token_type"].lower() == "bearer" and 0 < body["expires_in"] <= 300
    assert body["scope"] == "system/*.rs"
    assert place.is_live(body["access_token"])


def test_the_issuer_is_as_good_an_audience_and_a_client_id_may_be_sent(place: Place) -> None:
    """smart-181 smart-182"""
    app = place.backend()
    issuer = place.url("token").removesuffix("/token")
    assert place.system_token(app, aud=issuer).status == 200
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **app.proof(place)}
    assert place.post("token", {**form, "client_id": app.id}).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": lambda: NOW() - 61}, id="smart-176-expired"),
        pytest.param({"exp": lambda: NOW() + 365}, id="smart-177-five-minutes-and-skew"),
        pytest.param({"exp": lambda: NOW() + 86400 * 3650}, id="smart-177-ten-years"),
        pytest.param({"exp": None}, id="smart-177-no-exp"),
        pytest.param({"exp": lambda: str(NOW() + 60)}, id="smart-177-exp-text"),
        pytest.param({"exp": True}, id="smart-177-exp-true"),
        pytest.param({"exp": 10**30}, id="smart-177-exp-huge"),
        pytest.param({"exp": [1]}, id="smart-177-exp-list"),
        pytest.param({"nbf": lambda: NOW() + 65}, id="smart-178-nbf"),
        pytest.param({"iat": lambda: NOW() + 65}, id="smart-178-iat"),
        pytest.param({"iat": "soon"}, id="smart-178-iat-text"),
        pytest.param({"aud": "https://elsewhere.example/token"}, id="smart-181-other-url"),
        pytest.param({"aud": None}, id="smart-181-no-aud"),
        pytest.param({"aud": {}}, id="smart-181-object"),
        pytest.param({"iss": "somebody"}, id="smart-182-iss"),
        pytest.param({"sub": "somebody"}, id="smart-182-sub"),
        pytest.param({"iss": "somebody", "sub": "somebody"}, id="smart-182-unknown-client"),
        pytest.param({"iss": None, "sub": None}, id="smart-182-neither"),
        pytest.param({"iss": 5, "sub": 5}, id="smart-182-numbers"),
        pytest.param({"jti": None}, id="smart-184-missing"),
        pytest.param({"jti": ""}, id="smart-184-empty"),
        pytest.param({"jti": 7}, id="smart-184-number"),
        pytest.param({"jti": "x" * 256}, id="smart-184-long"),
        pytest.param({"jti": "x" * 10_240}, id="smart-184-10-kb"),
    ],
)  # fmt: skip
def test_claims_that_are_refused(place: Place, claims: dict[str, Any]) -> None:
    """smart-191 smart-249 smart-173"""
    said = {name: value() if callable(value) else value for name, value in claims.items()}
    assert error(place.system_token(place.backend(), **said)) == (401, "invalid_client")


@pytest.mark.parametrize("claims", [{"exp": -30}, {"exp": 330}, {"iat": 30, "nbf": 30}, {"exp": 1.5}])
def test_clocks_may_differ_by_a_minute(place: Place, claims: dict[str, float]) -> None:
    """smart-249"""
    assert place.system_token(place.backend(), **{name: NOW() + value for name, value in claims.items()}).status == 200


def test_audiences_of_others(place: Place, other: Place) -> None:
    """smart-181 smart-242"""
    app = place.backend()
    ours = place.url("token")
    for aud in (other.url("token"), [ours], [ours, "https://other.example"], ours + "/", place.url("introspect"), place.base, ours.upper()):
        assert error(place.system_token(app, aud=aud)) == (401, "invalid_client")
    assert place.system_token(app, aud=ours).status == 200


def _header(place: Place, **header: Any) -> tuple[int, str]:
    app = place.backend()
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    return error(place.post("token", {**form, "client_assertion": app.assertion(place, header)}))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"kid": None}, id="smart-185-missing-kid"),
        pytest.param({"kid": "unknown"}, id="smart-185-unknown-kid"),
        pytest.param({"kid": "x" * 300}, id="smart-185-long-kid"),
        pytest.param({"alg": "RS512"}, id="smart-180-alg-not-listed"),
        pytest.param({"typ": "at+jwt"}, id="sec-A5-typ"),
        pytest.param({"typ": "at" * 1000}, id="sec-A5-long-typ"),
        pytest.param({"jku": "https://evil.example/jwks.json"}, id="smart-186-jku"),
        pytest.param({"jwk": {"kty": "oct", "k": "AA"}}, id="smart-187-jwk"),
        pytest.param({"x5u": "https://evil.example/cert"}, id="smart-187-x5u"),
        pytest.param({"x5c": ["MIIB"]}, id="smart-187-x5c"),
    ],
)
def test_headers_that_are_refused(place: Place, header: dict[str, Any]) -> None:
    assert _header(place, **header) == (401, "invalid_client")


def _b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("kind", ["none", "none-with-signature", "hs256", "crit", "b64", "other-key", "kty", "garbled", "key-in-header"])
def test_forged_signatures(place: Place, kind: str) -> None:
    """smart-179 smart-180 smart-185 smart-187"""
    app = place.backend("RS384")
    good = app.assertion(place)
    head, claims, signature = good.split(".")
    kid = public(app.key)["kid"] if app.key else ""
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forger = RSAKey.generate_key(2048)
    header: dict[str, Any] = {"alg": "RS384", "kid": kid}
    assert app.key is not None
    if kind.startswith("none"):
        head, signature = _b64({"alg": "none", "kid": kid}), signature if "with" in kind else ""
        forged = f"{head}.{claims}.{signature}"
    elif kind == "hs256":
        # The library refuses to make this one, so it is made by hand.
        text = f"{_b64({'alg': 'HS256', 'kid': kid})}.{claims}"
        mac = hmac.digest(app.key.as_pem(private=False), text.encode(), "sha256")
        forged = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    elif kind in ("crit", "b64"):
        extra = {"crit": ["exp"], "exp": 1} if kind == "crit" else {"b64": False}
        forged = f"{_b64({**header, **extra})}.{claims}.{signature}"
    elif kind == "kty":
        forged = sign({"alg": "ES384", "kid": kid}, said, ECKey.generate_key("P-384"))
    elif kind == "key-in-header":
        forged = sign({**header, "jwk": public(forger)}, said, forger)
    else:
        forged = sign(header, said, forger) if kind == "other-key" else f"{head}.{claims}.{signature[:-8]}AAAAAAAA"
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    assert error(place.post("token", {**form, "client_assertion": forged})) == (401, "invalid_client")
    assert place.post("token", {**form, "client_assertion": good}).status == 200


@pytest.mark.parametrize(
    "value",
    ["", "a.b.c", "...", "a" * 20_000, ".".join([_b64([1]), _b64([1]), "x"]), _b64({"alg": "RS384", "kid": "k"}) + ".AAAA.",
     base64.urlsafe_b64encode(b"[" * 9000).decode() + "." + _b64({}) + ".x", _b64({"alg": ["RS384"]}) + "." + _b64({}) + ".x", "é.é.é",
     _b64({"alg": "RS384", "kid": "k"}) + "." + base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=") + ".x"],
)  # fmt: skip
def test_what_is_no_jwt(place: Place, value: str) -> None:
    """smart-89 smart-180"""
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    assert error(place.post("token", {**form, "client_assertion": value})) == (401, "invalid_client")


def test_a_wrong_assertion_type(place: Place) -> None:
    """smart-172"""
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **place.backend().proof(place)}
    for kind in ("", "not_an_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"):
        assert error(place.post("token", {**form, "client_assertion_type": kind})) == (401, "invalid_client")
    del form["client_assertion_type"]
    assert error(place.post("token", form)) == (401, "invalid_client")


def test_an_assertion_counts_once(place: Place) -> None:
    """smart-183: kept in PostgreSQL, so it is so whatever happens to Valkey."""
    app = place.backend()
    assert place.system_token(app, jti="once").status == 200
    assert error(place.system_token(app, jti="once")) == (401, "invalid_client")
    assert place.system_token(place.backend(), jti="once").status == 200, "another client's jti is another"
    kept = place.sql("SELECT max(extract(epoch FROM expires_at - now())) FROM oauth_assertion WHERE tenant_id = $1")
    assert float(kept[0][0] or b"0") > 240


def test_of_twenty_with_one_jti_one_wins(place: Place) -> None:
    """smart-183"""
    app = place.backend()
    assertion = app.assertion(place)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": ASSERTION}
    answers = at_once(20, lambda _: place.post("token", {**form, "client_assertion": assertion}))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 19


@pytest.mark.parametrize(
    ("registered", "asked", "granted"),
    [
        ("system/*.rs", "system/Patient.rs", "system/Patient.rs"),
        ("system/*.rs", "system/*.cruds", "system/*.rs"),
        ("system/Patient.rs system/Observation.r", "system/*.rs", "system/Patient.rs system/Observation.r"),
        ("system/*.rs", "system/*.read", "system/*.read"),
        ("system/*.rs", "system/Patient.*", "system/Patient.read"),
        ("system/*.rs", "patient/*.rs system/Patient.r openid launch unknown", "system/Patient.r"),
        ("system/Observation.rs?category=laboratory", "system/Observation.rs", "system/Observation.rs?category=laboratory"),
        ("system/*.rs", "system/Nonsense.rs", None),
        ("system/Patient.rs", "system/Observation.rs", None),
        ("system/*.rs", "patient/*.rs user/*.rs openid", None),
        ("system/*.rs", "system/*.sr", None),
        ("system/*.rs", "operator", None),
        ("system/*.rs", "", None),
    ],
)
def test_what_is_granted(place: Place, registered: str, asked: str, granted: str | None) -> None:
    """smart-192 smart-194 smart-128 smart-121 smart-122 smart-195"""
    answer = place.system_token(place.backend(scope=registered), asked)
    if granted is None:
        assert error(answer) == (400, "invalid_scope")
    else:
        assert answer.status == 200 and answer.json["scope"] == granted


def test_a_disabled_client_gets_nothing(place: Place) -> None:
    """smart-117"""
    app = place.backend()
    place.sql("UPDATE oauth_client SET status = 'disabled' WHERE tenant_id = $1 AND client_id = $2", app.id)
    assert error(place.system_token(app)) == (401, "invalid_client")
