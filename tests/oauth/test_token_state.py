"""Introspection and revocation: smart-checklist sections P and Q."""

import base64
import json

import pytest

from tests.oauth.place import App, Place, error, request


def _server(place: Place) -> App:
    """A resource server: a confidential client that asks about others' tokens."""
    return place.app("client_secret_basic", scope="openid")


def test_an_active_token_is_described(place: Place) -> None:
    """smart-158 smart-160 smart-161 smart-162 smart-165"""
    app = place.app()
    context = {"encounter": "e1", "need_patient_banner": True, "intent": "review", "tenant": "abc",
               "fhirContext": [{"reference": "ImagingStudy/1"}]}  # fmt: skip
    grant = place.grant(app, place.user(), "openid fhirUser launch patient/*.rs patient/Observation.rs?category=a|b", **context)
    tokens = place.redeem(app, place.code(app, grant)).json
    answer = place.call(_server(place), "introspect", {"token": tokens["access_token"]})
    assert answer.status == 200 and "no-store" in answer.headers["Cache-Control"]
    found = answer.json
    assert found["active"] is True and found["client_id"] == app.id and found["token_type"] == "Bearer"
    assert found["scope"] == tokens["scope"]
    assert isinstance(found["exp"], int) and 0 <= found["iat"] + tokens["expires_in"] - found["exp"] <= 1
    assert found["patient"] == "p1"
    for name, value in context.items():
        assert found[name] == tokens[name] == value
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert (found["iss"], found["sub"], found["fhirUser"]) == (claims["iss"], claims["sub"], claims["fhirUser"])


def test_everything_else_is_inactive_and_no_more(place: Place, other: Place) -> None:
    """smart-159 smart-163 smart-164 smart-165 smart-242"""
    server, app = _server(place), place.app()
    tokens, dead = place.tokens(app), place.tokens(app)["access_token"]
    place.call(app, "revoke", {"token": dead})
    expired = place.tokens(app)["access_token"]
    from fhir_server.security.oauth.grants import digest
    from fhir_server.storage import wire

    place.sql("UPDATE access_token SET expires_at = now() WHERE tenant_id = $1 AND hash = $2", wire.Binary(digest(expired)))
    foreign = other.tokens(other.app())["access_token"]
    for token in ("garbage", "é", "x" * 100_000, tokens["refresh_token"], tokens["id_token"], dead, expired, foreign):
        answer = place.call(server, "introspect", {"token": token, "token_type_hint": "access_token"})
        assert (answer.status, answer.json) == (200, {"active": False})


def test_who_may_ask(place: Place, other: Place) -> None:
    """smart-164"""
    app = place.app()
    token = place.tokens(app)["access_token"]
    assert error(place.post("introspect", {"token": token})) == (401, "invalid_client")
    assert error(place.call(app, "introspect", {"token": token})) == (401, "invalid_client")
    stranger = other.app("client_secret_basic")
    assert error(place.call(stranger, "introspect", {"token": token})) == (401, "invalid_client")
    backend = place.system_token(place.backend()).json["access_token"]
    mine, others = place.tokens(app)["access_token"], place.tokens(place.app())["access_token"]
    for bearer, active in ((backend, True), (mine, True), (others, False)):
        answer = place.post("introspect", {"token": token}, authorization=f"Bearer {bearer}")
        assert answer.status == 200 and answer.json["active"] is active
    refused = place.post("introspect", {"token": token}, authorization="Bearer garbage")
    assert refused.status == 401 and refused.headers["WWW-Authenticate"].startswith("Bearer")
    foreign = other.system_token(other.backend()).json["access_token"]
    assert place.post("introspect", {"token": token}, authorization=f"Bearer {foreign}").body == refused.body


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_confidential_clients_may_ask(place: Place, method: str) -> None:
    """smart-164"""
    token = place.tokens(place.app())["access_token"]
    answer = place.call(place.app(method), "introspect", {"token": token})
    assert answer.status == 200 and answer.json["active"] is True
    assert error(place.call(place.app(method), "introspect", {})) == (400, "invalid_request")


def test_a_system_token_is_described(place: Place) -> None:
    """smart-160"""
    app = place.backend()
    token = place.system_token(app).json["access_token"]
    found = place.call(_server(place), "introspect", {"token": token}).json
    assert found["client_id"] == app.id and found["scope"] == "system/*.rs" and "sub" not in found


# -- revocation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_an_access_token_ends(place: Place, method: str) -> None:
    """smart-166 smart-168"""
    app = place.app(method)
    tokens = place.tokens(app)
    assert place.is_live(tokens["access_token"])
    answer = place.call(app, "revoke", {"token": tokens["access_token"], "token_type_hint": "refresh_token"})
    assert answer.status == 200 and answer.body == b""
    assert not place.is_live(tokens["access_token"])
    assert place.refresh(app, tokens["refresh_token"]).status == 200


def test_a_refresh_token_ends_with_all_that_came_of_it(place: Place) -> None:
    """smart-167 smart-168 smart-166"""
    app = place.app()
    first = place.tokens(app)
    second = place.refresh(app, first["refresh_token"]).json
    untouched = place.tokens(app)
    assert place.call(app, "revoke", {"token": second["refresh_token"]}).status == 200
    for tokens in (first, second):
        assert not place.is_live(tokens["access_token"])
        assert error(place.refresh(app, tokens["refresh_token"])) == (400, "invalid_grant")
    assert place.is_live(untouched["access_token"])


def test_tokens_of_others_are_let_be(place: Place, other: Place) -> None:
    """smart-168 smart-242"""
    app, thief = place.app(), place.app("client_secret_basic")
    tokens, foreign = place.tokens(app), other.tokens(other.app())
    answers = [
        place.call(thief, "revoke", {"token": token})
        for token in (tokens["access_token"], tokens["refresh_token"], foreign["access_token"], "garbage", "é")
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert place.is_live(tokens["access_token"]) and other.is_live(foreign["access_token"])
    assert place.refresh(app, tokens["refresh_token"]).status == 200
    assert error(place.post("revoke", {"token": tokens["access_token"]})) == (401, "invalid_client")
    assert error(place.call(thief, "revoke", {})) == (400, "invalid_request")


def test_a_revocation_is_of_the_database(place: Place) -> None:
    """smart-170: nothing of it lies in Valkey or in a process; the row says so."""
    app = place.app()
    token = place.tokens(app)["access_token"]
    assert place.is_live(token)
    place.call(app, "revoke", {"token": token})
    assert place.sql("SELECT 1 FROM access_token WHERE tenant_id = $1 AND revoked_at IS NOT NULL")
    assert request("GET", f"{place.base}/Patient", authorization=f"Bearer {token}").status == 401
