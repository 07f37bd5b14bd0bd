"""Codes for tokens: smart-checklist sections F, G, H, and of D what the token endpoint decides."""

import json
from typing import Any

import pytest

from tests.client import Answer
from tests.oauth.place import REDIRECT, VERIFIER, Place, at_once, basic, challenge, error, request

METHODS = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]


@pytest.mark.parametrize("method", METHODS)
def test_each_kind_of_client_redeems_its_code(place: Place, method: str) -> None:
    """smart-62 smart-63 smart-66 smart-67 smart-69 smart-70 smart-103"""
    app = place.app(method)
    answer = place.redeem(app, place.new_code(app))
    assert answer.status == 200, answer.text
    body = answer.json
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "no-store" in answer.headers["Cache-Control"] and answer.headers["Pragma"] == "no-cache"
    assert isinstance(body["access_token"], str) and len(body["access_token"]) >= 43
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int) and 0 < body["expires_in"] <= 3600
    assert body["scope"] == "openid fhirUser launch/patient offline_access patient/*.rs"
    assert body["patient"] == "p1"
    assert place.is_live(body["access_token"])
    refreshed = place.refresh(app, body["refresh_token"])
    assert refreshed.status == 200 and refreshed.json["scope"] == body["scope"]


def test_a_code_is_good_once_and_its_reuse_ends_the_family(place: Place) -> None:
    """smart-50"""
    app = place.app()
    code = place.new_code(app)
    first = place.redeem(app, code).json
    assert error(place.redeem(app, code)) == (400, "invalid_grant")
    assert not place.is_live(first["access_token"])
    assert error(place.refresh(app, first["refresh_token"])) == (400, "invalid_grant")


def test_of_twenty_that_redeem_at_once_one_wins(place: Place) -> None:
    """smart-51"""
    app = place.app()
    for _ in range(2):
        code = place.new_code(app)
        statuses = [answer.status for answer in at_once(20, lambda _: place.redeem(app, code))]  # noqa: B023
        assert sorted(statuses) == [200] + [400] * 19


def test_a_code_dies_after_a_minute(place: Place) -> None:
    """smart-49"""
    app = place.app()
    code = place.new_code(app)
    life = place.sql("SELECT max(extract(epoch FROM expires_at - now())) FROM oauth_code WHERE tenant_id = $1 AND used_at IS NULL")
    assert 0 < float(life[0][0] or b"0") <= 60
    place.sql("UPDATE oauth_code SET expires_at = now() WHERE tenant_id = $1 AND used_at IS NULL")
    assert error(place.redeem(app, code)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"redirect_uri": "https://app.example/cb2"}, id="smart-82-other-redirect"),
        pytest.param({"redirect_uri": REDIRECT + "/"}, id="smart-52-redirect-with-slash"),
        pytest.param({"code_verifier": "w" * 64}, id="smart-76-wrong-verifier"),
        pytest.param({"code_verifier": challenge(VERIFIER)}, id="smart-77-verifier-is-challenge"),
        pytest.param({"code_verifier": "short"}, id="smart-76-short-verifier"),
        pytest.param({"code": "no-such-code"}, id="smart-80-invalid-code"),
    ],
)
def test_a_code_is_bound(place: Place, change: dict[str, str]) -> None:
    app = place.app()
    assert error(place.redeem(app, place.new_code(app), **change)) == (400, "invalid_grant")


@pytest.mark.parametrize("blank", ["", None], ids=["smart-75-blank-verifier", "smart-74-no-verifier"])
def test_no_verifier_is_refused(place: Place, blank: str | None) -> None:
    """smart-78: a code without a challenge does not exist, so every redemption needs a verifier."""
    app = place.app("client_secret_basic")
    form = {"grant_type": "authorization_code", "code": place.new_code(app), "redirect_uri": REDIRECT}
    answer = place.call(app, "token", form if blank is None else {**form, "code_verifier": blank})
    assert error(answer) == (400, "invalid_request")


def test_a_wrong_verifier_burns_the_code(place: Place) -> None:
    """smart-79"""
    app = place.app()
    code = place.new_code(app)
    assert error(place.redeem(app, code, code_verifier="w" * 64)) == (400, "invalid_grant")
    assert error(place.redeem(app, code)) == (400, "invalid_grant")


def test_a_code_is_bound_to_client_and_tenant(place: Place, other: Place) -> None:
    """smart-52 smart-81 smart-242"""
    app, thief = place.app(), place.app()
    assert error(place.redeem(thief, place.new_code(app))) == (400, "invalid_grant")
    code = place.new_code(app)
    elsewhere = other.app()
    stolen, garbage = other.redeem(elsewhere, code), other.redeem(elsewhere, "garbage")
    assert error(stolen) == (400, "invalid_grant") and stolen.body == garbage.body
    unknown = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert error(place.post("token", {**unknown, "client_id": "nobody-knows"})) == (401, "invalid_client")
    assert place.redeem(app, code).status == 200


# -- client authentication ---------------------------------------------------------------------------------------------


def test_one_method_of_authentication_only(place: Place) -> None:
    """smart-64"""
    app = place.app("client_secret_basic")
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": app.id, "client_secret": app.secret or ""}
    assert error(place.post("token", form, **app.headers())) == (400, "invalid_request")
    signer = place.app("private_key_jwt")
    both = {**signer.proof(place), "client_secret": "x", "grant_type": "refresh_token", "refresh_token": "x"}
    assert error(place.post("token", both)) == (400, "invalid_request")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("used", METHODS)
def test_only_the_registered_method(place: Place, method: str, used: str) -> None:
    """smart-64: also a confidential client that sends its client_id alone."""
    if used == method:
        return
    app = place.app(method)
    secret = app.secret or "x"
    form: dict[str, str] = {"grant_type": "refresh_token", "refresh_token": "x"}
    headers: dict[str, str] = {}
    if used == "none":
        form["client_id"] = app.id
    elif used == "client_secret_post":
        form.update(client_id=app.id, client_secret=secret)
    elif used == "client_secret_basic":
        headers["authorization"] = basic(app.id, secret)
    else:
        signer = place.app("private_key_jwt")
        form.update(signer.proof(place, iss=app.id, sub=app.id))
    for endpoint in ("token", "introspect", "revoke"):
        assert error(place.post(endpoint, {**form, "token": "x"}, **headers)) == (401, "invalid_client")


def test_basic_credentials_are_form_decoded(place: Place) -> None:
    """smart-65"""
    app = place.app("client_secret_basic", client_id="my~app.x")
    refused = place.post("token", {"grant_type": "refresh_token", "refresh_token": "x"}, authorization=basic(app.id, app.secret or ""))
    assert error(refused) == (400, "invalid_grant")
    import base64

    encoded = base64.b64encode(f"my%7Eapp%2Ex:{app.secret}".encode()).decode()
    answer = place.post("token", {"grant_type": "refresh_token", "refresh_token": "x"}, authorization=f"Basic {encoded}")
    assert error(answer) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic ====", "Basic bm9jb2xvbg==", "Basic Og==", "Bearer abc", "Digest x", "Basic /////w==", "Basic bm9ib2R5OiVGRg=="],
)  # fmt: skip
def test_bad_authorization_headers(place: Place, header: str) -> None:
    """smart-71"""
    answer = place.post("token", {"grant_type": "refresh_token", "refresh_token": "x"}, authorization=header)
    assert error(answer) == (401, "invalid_client")
    assert ("WWW-Authenticate" in answer.headers) == header.lower().startswith("basic")


def test_unknown_client_and_wrong_secret_look_the_same(place: Place) -> None:
    """smart-73: the answers; smart-71: WWW-Authenticate when Basic was used."""
    app = place.app("client_secret_basic")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    wrong = place.post("token", form, authorization=basic(app.id, "wrong"))
    unknown = place.post("token", form, authorization=basic("nobody", "wrong"))
    assert error(wrong) == (401, "invalid_client")
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")
    assert (wrong.body, dict(wrong.headers)) == (unknown.body, dict(unknown.headers))
    place.sql("UPDATE oauth_client SET status = 'disabled' WHERE tenant_id = $1 AND client_id = $2", app.id)
    assert place.post("token", form, **app.headers()).body == wrong.body


def test_secrets_are_stored_hashed(place: Place) -> None:
    """smart-73 smart-53"""
    app = place.app("client_secret_post")
    code = place.new_code(app)
    tokens = place.redeem(app, code).json
    seen = b"".join(
        value or b""
        for table in ("oauth_client", "oauth_code", "access_token", "refresh_token", "oauth_grant")
        for row in place.sql(f"SELECT t::text FROM {table} AS t WHERE tenant_id = $1")
        for value in row
    )
    for secret in (app.secret or "", code, tokens["access_token"], tokens["refresh_token"]):
        assert len(secret) >= 43
        assert secret.encode() not in seen and secret.encode().hex().encode() not in seen


# -- the form ----------------------------------------------------------------------------------------------------------


def _good_form(place: Place) -> tuple[Any, dict[str, str]]:
    app = place.app()
    return app, {
        "grant_type": "authorization_code", "code": place.new_code(app), "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER, "client_id": app.id,
    }  # fmt: skip


def test_other_methods_than_post(place: Place) -> None:
    """smart-72 smart-165"""
    for endpoint in ("token", "introspect", "revoke"):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            answer = request(method, place.url(endpoint) + "?token=x")
            assert error(answer)[0] == 405 and answer.headers["Allow"] == "POST"


def test_parameters_in_the_url_or_as_json_are_never_used(place: Place) -> None:
    """smart-72"""
    from urllib.parse import urlencode

    _, form = _good_form(place)
    assert error(request("POST", place.url("token") + "?" + urlencode(form), content_type="application/x-www-form-urlencoded")) == (400, "invalid_request")
    assert error(request("POST", place.url("token"), json.dumps(form), content_type="application/json")) == (400, "invalid_request")
    assert error(request("POST", place.url("token"), urlencode(form))) == (400, "invalid_request")
    assert place.post("token", form).status == 200, "the code was not touched"


@pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri", "code_verifier", "client_id"])
def test_repeated_and_missing_parameters(place: Place, name: str) -> None:
    """smart-71"""
    from urllib.parse import urlencode

    _, form = _good_form(place)
    twice = urlencode([*form.items(), (name, form[name])])
    assert error(place.post("token", twice)) == (400, "invalid_request")
    without = {key: value for key, value in form.items() if key != name}
    wanted = (401, "invalid_client") if name == "client_id" else (400, "invalid_request")
    assert error(place.post("token", without)) == wanted


@pytest.mark.parametrize("kind", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "é", "a\"b", "x" * 5000])
def test_other_grant_types(place: Place, kind: str) -> None:
    """smart-33 smart-171"""
    app = place.app()
    assert error(place.call(app, "token", {"grant_type": kind})) == (400, "unsupported_grant_type")


def test_a_grant_type_that_the_client_is_not_registered_for(place: Place) -> None:
    """smart-194 smart-71"""
    app = place.app("private_key_jwt", grant_types=["authorization_code"])
    for kind in ("client_credentials", "refresh_token"):
        form = {"grant_type": kind, "refresh_token": "x", "scope": "system/*.rs"}
        assert error(place.call(app, "token", form)) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"&&&&", b"=", b"%", b"%ff=%ff", b"\xff\xfe", b"grant_type=%00", b"grant_type", b"a" * 300_000,
        b"&".join(b"p%d=1" % n for n in range(500)), b"grant_type=refresh_token&refresh_token=%00&client_id=x",
        b"grant_type=authorization_code&client_id=%ED%A0%80", b"{}", b"[" * 10_000, b"grant_type=authorization_code;code=1",
    ],
)  # fmt: skip
def test_no_body_makes_the_server_fail(place: Place, body: bytes) -> None:
    """smart-71"""
    for endpoint in ("token", "introspect", "revoke"):
        answer = request("POST", place.url(endpoint), body, content_type="application/x-www-form-urlencoded")
        assert error(answer)[0] in (400, 401), answer.text


def test_any_value_of_any_parameter(place: Place) -> None:
    """smart-71"""
    app = place.app()
    usual = {"grant_type": "authorization_code", "code": "c", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    for name in (*usual, "scope", "refresh_token", "client_id", "client_assertion", "client_secret"):
        for value in ("\x00", "\x01", "🦊" * 100, "a" * 100_000, "' OR 1=1 --", "%", "\r\nX: 1", "null", "[]"):
            for kind in ("authorization_code", "refresh_token", "client_credentials"):
                form = {**usual, "grant_type": kind, "client_id": app.id, name: value}
                assert error(place.post("token", form))[0] in (400, 401)


# -- browsers ----------------------------------------------------------------------------------------------------------


def _allowed(answer: Answer) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_pages_of_public_clients_may_read_the_answer(place: Place) -> None:
    """smart-68"""
    app = place.app(redirect_uris=["https://spa.example:8443/cb"])
    place.app("client_secret_basic", redirect_uris=["https://confidential.example/cb"])
    for origin, known in (
        ("https://spa.example:8443", True), ("https://spa.example", False), ("https://evil.example", False),
        ("null", False), ("https://spa.example:8443.evil.example", False), ("https://confidential.example", False),
        ("https://spa.example:8443/", False), ("", False), ("*", False), ("https://s%", False),
    ):  # fmt: skip
        answer = place.call(app, "token", {"grant_type": "refresh_token", "refresh_token": "x"}, origin=origin)
        assert _allowed(answer) == (origin if known else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]
        asked = request("OPTIONS", place.url("token"), origin=origin, access_control_request_method="POST")
        assert asked.status == 204 and _allowed(asked) == (origin if known else None)
        assert ("POST" in asked.headers.get("Access-Control-Allow-Methods", "")) == known


def test_introspection_is_not_for_browsers(place: Place) -> None:
    """sec-T28"""
    place.app(redirect_uris=["https://spa2.example/cb"])
    assert _allowed(place.post("introspect", {"token": "x"}, origin="https://spa2.example")) is None


# -- what the user's rights leave ----------------------------------------------------------------------------------------


def test_the_grant_is_never_more_than_the_role_has(place: Place) -> None:
    """smart-129 smart-45: at redemption, too; a disabled user's code is worth nothing."""
    app = place.app()
    clerk = place.user("billing")
    code = place.code(app, place.grant(app, clerk, "launch/patient patient/Observation.rs patient/Invoice.rs"))
    assert place.redeem(app, code).json["scope"] == "launch/patient patient/Invoice.rs"
    code = place.code(app, place.grant(app, clerk))
    place.sql("UPDATE user_account SET status = 'disabled' WHERE tenant_id = $1 AND user_id = $2", clerk)
    assert error(place.redeem(app, code)) == (400, "invalid_grant")


def test_unknown_tenants_look_the_same(place: Place) -> None:
    """smart-18"""
    answer = request("POST", "http://testserver/t/no-such/oauth/token", "", content_type="application/x-www-form-urlencoded")
    again = request("POST", "http://testserver/t/neither-this/oauth/token", "", content_type="application/x-www-form-urlencoded")
    assert error(answer) == (404, "not_found") and answer.body == again.body
