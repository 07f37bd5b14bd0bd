"""What may be registered, and clients that register themselves. RFC 7591, RFC 7592; smart-checklist 30, 31, 188."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc6749.errors import OAuth2Error
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_server.security.oauth.client_metadata import check_metadata
from fhir_server.security.oauth.redirects import fault, same
from tests.client import Answer
from tests.oauth.place import Place, error, public, request

_APP = {"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none", "scope": "openid patient/*.rs"}
_BACKEND = {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "scope": "system/*.rs"}


@pytest.mark.parametrize(
    ("uri", "web", "native"),
    [
        ("https://app.example/cb", True, True),
        ("https://app.example:8443/cb?x=1&y=2", True, True),
        ("https://sub.app-1.example/", True, True),
        ("http://127.0.0.1:4567/cb", True, True),
        ("http://[::1]:4567/cb", True, True),
        ("http://localhost:4567/cb", True, True),
        ("com.example.app:/cb", False, True),
        ("com.example.app://cb/x", False, True),
        ("http://app.example/cb", False, False),
        ("http://127.0.0.2/cb", False, False),
        ("http://localhost.evil.example/cb", False, False),
        ("https://app.example/cb#x", False, False),
        ("https://app.example/cb#", False, False),
        ("https://*.example/cb", False, False),
        ("https://app.example/*", False, False),
        ("https://user@app.example/cb", False, False),
        ("https://app.example@evil.example/cb", False, False),
        ("https://app.example/a/../cb", False, False),
        ("https://app.example\\@evil.example", False, False),
        ("https://App.example/cb", False, False),
        ("https://app.example:/cb", False, False),
        ("https://app.example:99999/cb", False, False),
        ("https:///cb", False, False),
        ("https://", False, False),
        ("//app.example/cb", False, False),
        ("/cb", False, False),
        ("", False, False),
        ("javascript:alert(1)", False, False),
        ("data:text/html,x", False, False),
        ("myapp:/cb", False, False),
        ("file:///etc/passwd", False, False),
        ("https://app.example/cb\n", False, False),
        ("https://app.example/ cb", False, False),
        ("https://appé.example/cb", False, False),
        ("https://app.example/" + "x" * 2000, False, False),
        (7, False, False),
    ],
)
def test_redirect_uris(uri: object, web: bool, native: bool) -> None:
    """smart-30 smart-31"""
    assert (fault(uri, native=False) is None) == web
    assert (fault(uri, native=True) is None) == native


@pytest.mark.parametrize(
    ("given", "held", "web", "native"),
    [
        ("https://app.example/cb", "https://app.example/cb", True, True),
        ("https://app.example/cb/", "https://app.example/cb", False, False),
        ("https://app.example/cb?x", "https://app.example/cb", False, False),
        ("https://app.example:443/cb", "https://app.example/cb", False, False),
        ("https://APP.example/cb", "https://app.example/cb", False, False),
        ("https://app.example/%63b", "https://app.example/cb", False, False),
        ("https://app.example.evil.test/cb", "https://app.example/cb", False, False),
        ("http://app.example/cb", "https://app.example/cb", False, False),
        ("https://app.example:8443/cb", "https://app.example/cb", False, False),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1/cb", False, True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb", False, True),
        ("http://[::1]:5000/cb", "http://[::1]:9/cb", False, True),
        ("http://127.0.0.1:5000/cb2", "http://127.0.0.1/cb", False, False),
        ("http://127.0.0.1:5000/cb?x=1", "http://127.0.0.1/cb", False, False),
        ("http://127.0.0.1:5000/cb#x", "http://127.0.0.1/cb", False, False),
        ("http://u@127.0.0.1:5000/cb", "http://127.0.0.1/cb", False, False),
        ("https://127.0.0.1:5000/cb", "http://127.0.0.1/cb", False, False),
        ("http://127.0.0.1:x/cb", "http://127.0.0.1/cb", False, False),
        ("http://127.0.0.1:05000/cb", "http://127.0.0.1/cb", False, False),
        ("http://127.1:5000/cb", "http://127.0.0.1/cb", False, False),
        ("http://localhost:5000/cb", "http://localhost:4000/cb", False, False),
        ("http://localhost:5000/cb", "http://127.0.0.1/cb", False, False),
        ("http://[::1]:5000/cb", "http://127.0.0.1/cb", False, False),
        ("com.example.app:/cb2", "com.example.app:/cb", False, False),
    ],
)
def test_redirect_uris_are_compared_as_strings(given: str, held: str, web: bool, native: bool) -> None:
    """smart-30 smart-31"""
    assert same(given, held, native=False) == web
    assert same(given, held, native=True) == native


def _keys(*keys: Any, **more: Any) -> dict[str, Any]:
    return {**_BACKEND, "jwks": {"keys": [{**public(key), **more} for key in keys]}}


_EC, _RSA = ECKey.generate_key("P-384"), RSAKey.generate_key(2048)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({}, "invalid_redirect_uri"),
        ({**_APP, "redirect_uris": []}, "invalid_redirect_uri"),
        ({**_APP, "redirect_uris": "https://app.example/cb"}, "invalid_redirect_uri"),
        ({**_APP, "redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri"),
        ({**_APP, "redirect_uris": ["https://a.example"] * 51}, "invalid_redirect_uri"),
        ({**_APP, "token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({**_APP, "token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
        ({**_APP, "grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({**_APP, "grant_types": []}, "invalid_client_metadata"),
        ({**_APP, "grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({**_APP, "grant_types": [["authorization_code"]]}, "invalid_client_metadata"),
        ({**_APP, "response_types": ["token"]}, "invalid_client_metadata"),
        ({**_APP, "scope": "everything"}, "invalid_client_metadata"),
        ({**_APP, "scope": "operator"}, "invalid_client_metadata"),
        ({**_APP, "scope": "system/*.rs"}, "invalid_client_metadata"),
        ({**_APP, "scope": ["openid"]}, "invalid_client_metadata"),
        ({**_APP, "scope": ""}, "invalid_client_metadata"),
        ({**_APP, "client_name": "x" * 300}, "invalid_client_metadata"),
        ({**_APP, "client_name": "a\u0000b"}, "invalid_client_metadata"),
        ({**_APP, "logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({**_APP, "launch_url": "http://app.example/launch"}, "invalid_client_metadata"),
        ({**_APP, "contacts": "me@example.org"}, "invalid_client_metadata"),
        ({**_APP, "application_type": "tv"}, "invalid_client_metadata"),
        ({**_APP, "jwks": {"keys": []}}, "invalid_client_metadata"),
        ({**_APP, "software_statement": "x.y.z"}, "invalid_client_metadata"),
        ({**_BACKEND}, "invalid_client_metadata"),
        ({**_BACKEND, "token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({**_BACKEND, "jwks_uri": "ftp://a.example/jwks"}, "invalid_client_metadata"),
        ({**_BACKEND, "jwks_uri": "http://a.example/jwks"}, "invalid_client_metadata"),
        ({**_keys(_EC), "jwks_uri": "https://a.example/jwks"}, "invalid_client_metadata"),
        ({**_keys(_EC), "scope": "patient/*.rs"}, "invalid_client_metadata"),
        ({**_keys(_EC), "scope": None}, "invalid_client_metadata"),
        (_keys(), "invalid_client_metadata"),
        (_keys(_EC, kid=None), "invalid_client_metadata"),
        (_keys(_EC, kid=""), "invalid_client_metadata"),
        (_keys(_EC, _EC), "invalid_client_metadata"),
        (_keys(_EC, d="AAAA"), "invalid_client_metadata"),
        (_keys(_EC, use="enc"), "invalid_client_metadata"),
        (_keys(ECKey.generate_key("P-521")), "invalid_client_metadata"),
        (_keys(_RSA, n="AQAB"), "invalid_client_metadata"),
        ({**_BACKEND, "jwks": {"keys": [{**OctKey.generate_key(256).as_dict(), "kid": "k"}]}}, "invalid_client_metadata"),
        ({**_BACKEND, "jwks": "keys"}, "invalid_client_metadata"),
        ({**_BACKEND, "jwks": {"keys": ["x"]}}, "invalid_client_metadata"),
    ],
)  # fmt: skip
def test_metadata_that_is_refused(metadata: dict[str, Any], code: str) -> None:
    with pytest.raises(OAuth2Error) as refused:
        check_metadata(metadata)
    assert refused.value.error == code and refused.value.description


@pytest.mark.parametrize(
    "metadata",
    [
        _APP,
        {**_APP, "application_type": "native", "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"]},
        {**_APP, "grant_types": ["authorization_code", "refresh_token"], "launch_url": "https://app.example/launch"},
        {**_APP, "initiate_login_uri": "http://localhost:4000/launch", "scope": "launch/encounter?role=x patient/*.read"},
        _keys(_EC),
        _keys(_RSA, _EC),
        _keys(ECKey.generate_key("P-256")),
        {**_BACKEND, "jwks_uri": "https://a.example/jwks"},
        {**_keys(_EC), "grant_types": ["authorization_code", "client_credentials"], "redirect_uris": ["https://a.example/"], "scope": "openid system/*.rs user/*.rs"},
    ],
)
def test_metadata_that_is_accepted(metadata: dict[str, Any]) -> None:
    held = check_metadata(metadata)
    assert check_metadata(held) == held, "what is told can be sent again"


# -- clients that register themselves ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_place(place: Place) -> Place:
    """The tenant, with registration switched on."""
    place.sql("UPDATE tenant SET settings = settings || '{\"dynamic_registration\": true}' WHERE tenant_id = $1")
    return place


def _register(place: Place, metadata: Any) -> Answer:
    body = metadata if isinstance(metadata, bytes) else json.dumps(metadata)
    return request("POST", place.url("register"), body, content_type="application/json")


def test_registration_is_off_unless_the_operator_wants_it(other: Place) -> None:
    assert error(_register(other, _APP)) == (403, "access_denied")


def test_the_life_of_a_registration(open_place: Place) -> None:
    place = open_place
    answer = _register(place, {**_APP, "token_endpoint_auth_method": "client_secret_basic", "unknown_member": 1})
    assert answer.status == 201 and "no-store" in answer.headers["Cache-Control"]
    made = answer.json
    assert made["client_secret_expires_at"] == 0 and len(made["client_secret"]) >= 43
    assert made["redirect_uris"] == _APP["redirect_uris"] and "unknown_member" not in made
    url, token = made["registration_client_uri"], f"Bearer {made['registration_access_token']}"
    assert url == place.url(f"register/{made['client_id']}")
    read = request("GET", url, authorization=token)
    assert read.status == 200 and "client_secret" not in read.json and read.json["client_id"] == made["client_id"]
    changed = {**_APP, "token_endpoint_auth_method": "client_secret_basic", "client_id": made["client_id"], "client_name": "New"}
    put = request("PUT", url, json.dumps(changed), authorization=token)
    assert put.status == 200 and put.json["client_name"] == "New"
    for bad in ({**changed, "client_id": "x"}, {**changed, "client_secret": "x"}, {**changed, "token_endpoint_auth_method": "none"}):
        assert error(request("PUT", url, json.dumps(bad), authorization=token)) == (400, "invalid_client_metadata")
    assert request("DELETE", url, authorization=token).status == 204
    assert request("GET", url, authorization=token).status == 401
    assert error(place.post("token", {"grant_type": "refresh_token", "refresh_token": "x", "client_id": made["client_id"]}))[1] == "invalid_client"


def test_only_its_own_token_opens_a_registration(open_place: Place) -> None:
    """smart-242"""
    one, two = (_register(open_place, _APP).json for _ in range(2))
    unknown = request("GET", open_place.url("register/nobody"), authorization=f"Bearer {one['registration_access_token']}")
    assert unknown.status == 401
    for header in ("", "Bearer x", f"Bearer {two['registration_access_token']}", "Basic x"):
        answer = request("GET", one["registration_client_uri"], authorization=header)
        assert (answer.status, answer.body) == (401, unknown.body)
    by_operator = open_place.app()
    assert request("GET", open_place.url(f"register/{by_operator.id}"), authorization="Bearer x").status == 401


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({**_BACKEND, "jwks": {"keys": [public(_EC)]}}, "invalid_client_metadata"),
        ({**_APP, "scope": "system/*.rs"}, "invalid_client_metadata"),
        ({**_APP, "redirect_uris": ["http://evil.example"]}, "invalid_redirect_uri"),
        (b"[]", "invalid_client_metadata"), (b"", "invalid_client_metadata"), (b"[" * 10_000, "invalid_client_metadata"),
        (b"\xff", "invalid_client_metadata"), (b'"x"', "invalid_client_metadata"), (b" " * 300_000, "invalid_client_metadata"),
    ],
)  # fmt: skip
def test_registrations_that_are_refused(open_place: Place, metadata: Any, code: str) -> None:
    """smart-194: nobody gives himself system/ rights."""
    assert error(_register(open_place, metadata)) == (400, code)


@pytest.mark.usefixtures("one_window")
def test_registrations_are_limited(new_tenant: Any) -> None:
    """smart-244"""
    place = Place(new_tenant())
    place.sql("UPDATE tenant SET settings = settings || '{\"dynamic_registration\": true}' WHERE tenant_id = $1")
    statuses = [_register(place, b"{}").status for _ in range(80)]
    assert statuses[0] == 400 and statuses[-1] == 429
    answer = _register(place, _APP)
    assert error(answer) == (429, "temporarily_unavailable") and int(answer.headers["Retry-After"]) > 0
