"""What the server tells of itself: smart-checklist section A, and style and keys that stand beside it."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.client import ORIGIN
from tests.oauth.place import Place, request

_STANDALONE = {
    "launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
    "sso-openid-connect", "context-standalone-patient", "permission-offline", "permission-patient", "authorize-post",
    "permission-v2", "permission-v1",
}  # fmt: skip
_EHR = {
    "launch-ehr", "client-confidential-symmetric", "client-confidential-asymmetric", "sso-openid-connect",
    "context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter", "permission-offline",
    "permission-user", "authorize-post", "permission-v2", "permission-v1",
}  # fmt: skip


def _smart(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request("GET", f"{place.base}/.well-known/smart-configuration").body)
    return found


@pytest.mark.parametrize("accept", ["", "application/fhir+xml", "text/html", "application/json", "*/*"])
def test_smart_configuration_is_json(place: Place, accept: str) -> None:
    """smart-1 smart-2 smart-16"""
    headers = {"accept": accept} if accept else {}
    answer = request("GET", f"{place.base}/.well-known/smart-configuration", origin="https://a.example", **headers)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert isinstance(answer.json, dict)


def test_its_members(place: Place) -> None:
    """smart-3 smart-4 smart-5 smart-6 smart-8 smart-9 smart-11 smart-12 smart-13 smart-19"""
    found = _smart(place)
    for name in ("authorization_endpoint", "token_endpoint", "issuer", "jwks_uri", "introspection_endpoint",
                 "revocation_endpoint", "management_endpoint"):  # fmt: skip
        assert isinstance(found[name], str) and found[name]
    assert set(found["capabilities"]) == _STANDALONE | _EHR | {"permission-online"}
    assert found["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert not {"none", "HS256"} & set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert found["response_types_supported"] == ["code"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "registration_endpoint" not in found


def test_every_url_lies_below_the_tenant(place: Place) -> None:
    """smart-7"""
    urls = [value for value in _smart(place).values() if isinstance(value, str)]
    assert all(url.startswith(f"{ORIGIN}/t/{place.tenant.slug}/") for url in urls)


def test_every_listed_endpoint_answers(place: Place) -> None:
    """smart-10"""
    found = _smart(place)
    listed = [name for name in found if name.endswith("_endpoint")]
    assert len(listed) == 5
    for name in (*listed, "jwks_uri"):
        assert request("GET", found[name]).status in (200, 302, 303, 400, 405), name


def test_every_listed_scope_can_be_granted(place: Place) -> None:
    """smart-10 smart-121"""
    scopes = [each for each in _smart(place)["scopes_supported"] if not each.startswith("system/")]
    session_scopes = " ".join(scopes)
    app = place.app(scope=session_scopes)
    assert place.tokens(app, session_scopes)["scope"] == session_scopes
    for each in set(_smart(place)["scopes_supported"]) - set(scopes):
        assert place.system_token(place.backend(scope=each), each).json["scope"] == each


def test_all_metadata_agree(place: Place) -> None:
    """smart-20 smart-92 smart-93"""
    smart = _smart(place)
    issuer = smart["issuer"]
    path = urlsplit(issuer).path
    oauth = request("GET", f"{issuer}/.well-known/oauth-authorization-server").json
    assert oauth == request("GET", f"{ORIGIN}/.well-known/oauth-authorization-server{path}").json
    answer = request("GET", f"{issuer}/.well-known/openid-configuration")
    assert answer.headers["Content-Type"].startswith("application/json")
    openid = answer.json
    for name in smart.keys() & oauth.keys():
        assert smart[name] == oauth[name]
    for name in oauth:
        assert openid[name] == oauth[name]
    assert openid["issuer"] == issuer and "RS256" in openid["id_token_signing_alg_values_supported"]
    assert openid["subject_types_supported"]
    # Authlib's own reading of the two standards; it wants https, which loopback tests do without.
    as_https = json.loads(json.dumps(openid).replace(ORIGIN, "https://testserver"))
    AuthorizationServerMetadata(as_https).validate()
    OpenIDProviderMetadata(as_https).validate()


def test_the_capability_statement_says_the_same(place: Place) -> None:
    """smart-14 smart-15 smart-17 smart-18"""
    answer = request("GET", f"{place.base}/metadata", origin="https://a.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    security = answer.json["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    told = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    smart = _smart(place)
    assert told == {
        "authorize": smart["authorization_endpoint"], "token": smart["token_endpoint"],
        "introspect": smart["introspection_endpoint"], "manage": smart["management_endpoint"],
        "revoke": smart["revocation_endpoint"],
    }  # fmt: skip


def test_registration_is_listed_when_it_is_on(other: Place) -> None:
    """smart-9 smart-15"""
    other.sql("UPDATE tenant SET settings = settings || '{\"dynamic_registration\": true}' WHERE tenant_id = $1")
    smart = _smart(other)
    assert smart["registration_endpoint"] == other.url("register")
    security = request("GET", f"{other.base}/metadata").json["rest"][0]["security"]
    told = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    assert told["register"] == smart["registration_endpoint"]


def test_unknown_and_suspended_tenants_are_not_found(other: Place) -> None:
    """smart-18"""
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    paths = ["oauth/.well-known/openid-configuration", "fhir/.well-known/smart-configuration", "oauth/jwks", "oauth/smart-style.json"]
    unknown = [request("GET", f"/t/no-such-tenant/{path}") for path in paths]
    assert {answer.status for answer in unknown} == {404} and len({answer.body for answer in unknown}) == 1
    operator.set_status(session(), other.tenant.slug, "suspended")
    try:
        for path in paths:
            answer = request("GET", f"/t/{other.tenant.slug}/{path}")
            assert (answer.status, answer.body) == (404, unknown[0].body)
    finally:
        operator.set_status(session(), other.tenant.slug, "active")


def test_forwarded_hosts_change_nothing(place: Place) -> None:
    """smart-23"""
    answer = request("GET", f"{place.base}/.well-known/smart-configuration", x_forwarded_host="evil.example", x_forwarded_proto="ftp")
    assert b"evil" not in answer.body and answer.json["issuer"].startswith(ORIGIN)


def test_the_style(place: Place) -> None:
    """smart-152"""
    app = place.app()
    grant = place.grant(app, place.user(), "launch patient/*.rs", need_patient_banner=False)
    tokens = place.redeem(app, place.code(app, grant)).json
    assert tokens["need_patient_banner"] is False
    url = tokens["smart_style_url"]
    answer = request("GET", url)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert "color_text" in answer.json and answer.headers["ETag"]
    assert request("GET", url, if_none_match=answer.headers["ETag"]).status == 304
    from hashlib import sha256

    assert url.endswith(sha256(answer.body).hexdigest()[:16]), "the URL changes when the content does"
    assert place.tenant.slug.encode() not in answer.body
