"""Refresh tokens: smart-checklist section K, and the races of section W."""

import time

import pytest

from tests.oauth.place import Place, at_once, error

SCOPE = "openid launch/patient offline_access patient/*.rs"


def test_refresh_gives_the_same_scope_and_context(place: Place) -> None:
    """smart-103 smart-104 smart-105 smart-106 smart-107 smart-157"""
    app = place.app("client_secret_basic")
    grant = place.grant(app, place.user(), SCOPE, encounter="e1", need_patient_banner=True, fhirContext=[])
    first = place.redeem(app, place.code(app, grant)).json
    answer = place.refresh(app, first["refresh_token"], scope=SCOPE, patient="p2", launch="x")
    assert answer.status == 200, answer.text
    assert "no-store" in answer.headers["Cache-Control"] and answer.headers["Pragma"] == "no-cache"
    second = answer.json
    for name in ("scope", "patient", "encounter", "need_patient_banner", "fhirContext", "smart_style_url"):
        assert second[name] == first[name]
    assert second["need_patient_banner"] is True and second["patient"] == "p1"
    assert second["token_type"] == "Bearer" and 0 < second["expires_in"] <= 3600
    assert second["access_token"] != first["access_token"]
    assert place.is_live(second["access_token"])


def test_garbage_is_an_invalid_grant(place: Place, other: Place) -> None:
    """smart-108 smart-112 smart-242"""
    app = place.app()
    tokens = place.tokens(app)
    for bad in ("garbage", tokens["access_token"], "x" * 100_000, "é"):
        assert error(place.refresh(app, bad)) == (400, "invalid_grant")
    assert error(place.refresh(place.app(), tokens["refresh_token"])) == (400, "invalid_grant")
    assert error(other.refresh(other.app(), tokens["refresh_token"])) == (400, "invalid_grant")
    assert place.refresh(app, tokens["refresh_token"]).status == 200, "the others did it no harm"


def test_less_may_be_asked_and_more_not(place: Place) -> None:
    """smart-109"""
    app = place.app()
    tokens = place.tokens(app, "launch/patient offline_access patient/*.rs")
    narrow = place.refresh(app, tokens["refresh_token"], scope="patient/Observation.rs?category=laboratory").json
    assert narrow["scope"] == "patient/Observation.rs?category=laboratory"
    wide = place.refresh(app, narrow["refresh_token"], scope="patient/*.cruds")
    assert error(wide) == (400, "invalid_scope")
    assert error(place.refresh(app, narrow["refresh_token"], scope="openid patient/*.rs")) == (400, "invalid_scope")
    assert error(place.refresh(app, narrow["refresh_token"], scope="nonsense")) == (400, "invalid_scope")
    assert error(place.refresh(app, narrow["refresh_token"], scope=" ")) == (400, "invalid_scope")
    whole = place.refresh(app, narrow["refresh_token"]).json
    assert whole["scope"] == "launch/patient offline_access patient/*.rs"


def test_reuse_after_the_grace_ends_the_family(place: Place) -> None:
    """smart-110"""
    app = place.app()
    first = place.tokens(app)
    second = place.refresh(app, first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    place.sql("UPDATE refresh_token SET used_at = now() - interval '31 seconds' WHERE tenant_id = $1 AND used_at IS NOT NULL")
    assert error(place.refresh(app, first["refresh_token"])) == (400, "invalid_grant")
    assert not place.is_live(first["access_token"]) and not place.is_live(second["access_token"])
    assert error(place.refresh(app, second["refresh_token"])) == (400, "invalid_grant")


def test_reuse_within_the_grace_ends_the_family_once_the_successor_was_used(place: Place) -> None:
    """smart-110 smart-111"""
    app = place.app()
    first = place.tokens(app)
    second = place.refresh(app, first["refresh_token"]).json
    third = place.refresh(app, second["refresh_token"]).json
    assert error(place.refresh(app, first["refresh_token"])) == (400, "invalid_grant")
    assert not place.is_live(third["access_token"])


def test_a_lost_answer_is_given_again(place: Place) -> None:
    """smart-111"""
    app = place.app()
    first = place.tokens(app)
    second = place.refresh(app, first["refresh_token"]).json
    again = place.refresh(app, first["refresh_token"]).json
    assert again["refresh_token"] == second["refresh_token"]
    assert place.is_live(again["access_token"]) and place.is_live(second["access_token"])
    assert place.refresh(app, again["refresh_token"]).status == 200


def test_ten_at_once_get_one_successor(place: Place) -> None:
    """smart-111"""
    app = place.app()
    for _ in range(2):
        token = place.tokens(app)["refresh_token"]
        answers = at_once(10, lambda _: place.refresh(app, token))  # noqa: B023
        assert {answer.status for answer in answers} == {200}
        assert len({answer.json["refresh_token"] for answer in answers}) == 1


@pytest.mark.parametrize("round", range(6))
def test_revoking_while_refreshing_leaves_nothing_alive(place: Place, round: int) -> None:
    """smart-248"""
    app = place.app()
    tokens = place.tokens(app)

    def one(number: int) -> tuple[str, ...]:
        if number == 3:
            time.sleep(0.002 * round)
            assert place.call(app, "revoke", {"token": tokens["refresh_token"]}).status == 200
            return ()
        answer = place.refresh(app, tokens["refresh_token"])
        return (answer.json["access_token"], answer.json["refresh_token"]) if answer.status == 200 else ()

    given = [pair for pair in at_once(8, one) if pair]
    for access, refresh in [(tokens["access_token"], tokens["refresh_token"]), *given]:
        assert not place.is_live(access)
        assert error(place.refresh(app, refresh)) == (400, "invalid_grant")


def test_who_gets_a_refresh_token(place: Place) -> None:
    """smart-113 smart-115 smart-101"""
    session_hash = _web_session(place)
    app, native = place.app(), place.app(application_type="native", redirect_uris=["https://app.example/cb", "com.example.app:/cb"])
    without = place.app(grant_types=["authorization_code"])
    assert "refresh_token" not in place.tokens(app, "launch/patient patient/*.rs")
    assert "refresh_token" in place.tokens(app, "launch/patient offline_access patient/*.rs")
    assert "refresh_token" in place.tokens(native, "launch/patient offline_access patient/*.rs")
    missing = place.tokens(without, "launch/patient offline_access patient/*.rs")
    assert "refresh_token" not in missing and "offline_access" not in missing["scope"]
    online = place.redeem(app, place.code(app, place.grant(app, place.user(), "online_access patient/*.rs", session_hash))).json
    assert "refresh_token" in online


def _web_session(place: Place) -> bytes:
    import secrets

    from fhir_server.storage import wire

    digest = secrets.token_bytes(32)
    place.sql(
        "INSERT INTO web_session (tenant_id, hash, user_id, expires_at) VALUES ($1, $2, 'u', now() + interval '1 hour')",
        wire.Binary(digest),
    )
    return digest


@pytest.mark.parametrize("how", ["ended", "expired"])
def test_online_access_dies_with_the_session_and_offline_access_does_not(place: Place, how: str) -> None:
    """smart-113"""
    from fhir_server.storage import wire

    digest, app = _web_session(place), place.app()
    online = place.redeem(app, place.code(app, place.grant(app, place.user(), "online_access patient/*.rs", digest))).json
    offline = place.tokens(app)
    refreshed = place.refresh(app, online["refresh_token"]).json
    column = "ended_at = now()" if how == "ended" else "expires_at = now()"
    place.sql(f"UPDATE web_session SET {column} WHERE tenant_id = $1 AND hash = $2", wire.Binary(digest))
    assert error(place.refresh(app, refreshed["refresh_token"])) == (400, "invalid_grant")
    assert place.refresh(app, offline["refresh_token"]).status == 200


def test_offline_access_lives_three_months_and_slides(place: Place) -> None:
    """smart-114: the clock of the rows is moved."""
    app = place.app()
    token = place.tokens(app)["refresh_token"]
    for _ in range(2):
        place.sql("UPDATE refresh_token SET expires_at = expires_at - interval '92 days' WHERE tenant_id = $1 AND used_at IS NULL")
        answer = place.refresh(app, token)
        assert answer.status == 200, "after three months"
        token = answer.json["refresh_token"]
    place.sql("UPDATE refresh_token SET expires_at = now() WHERE tenant_id = $1 AND used_at IS NULL")
    assert error(place.refresh(app, token)) == (400, "invalid_grant")


def test_what_changes_in_between_counts(place: Place) -> None:
    """smart-117: user disabled, client disabled, role lowered, registration cut, tenant suspended."""
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    app, user = place.app("client_secret_post"), place.user("practitioner")
    grant = place.grant(app, user, "offline_access patient/Observation.rs patient/Invoice.rs")
    token = place.redeem(app, place.code(app, grant)).json["refresh_token"]

    def step(statement: str, *values: str) -> tuple[int, str]:
        nonlocal token
        place.sql(statement, *values)
        answer = place.refresh(app, token)
        if answer.status == 200:
            token = answer.json["refresh_token"]
            return 200, answer.json["scope"]
        return error(answer)

    role = "UPDATE user_account SET role = $2 WHERE tenant_id = $1 AND user_id = $3"
    assert step(role, "billing", user) == (200, "offline_access patient/Invoice.rs")
    assert step(role, "practitioner", user) == (200, "offline_access patient/Observation.rs patient/Invoice.rs")
    cut = "UPDATE oauth_client SET metadata = jsonb_set(metadata, '{scope}', to_jsonb($2::text)) WHERE tenant_id = $1 AND client_id = $3"
    assert step(cut, "offline_access patient/Observation.r", app.id) == (200, "offline_access patient/Observation.r")
    status = "UPDATE user_account SET status = $2 WHERE tenant_id = $1 AND user_id = $3"
    assert step(status, "disabled", user) == (400, "invalid_grant")
    assert step(status, "active", user)[0] == 200
    client = "UPDATE oauth_client SET status = $2 WHERE tenant_id = $1 AND client_id = $3"
    assert step(client, "disabled", app.id) == (401, "invalid_client")
    assert step(client, "active", app.id)[0] == 200
    operator.set_status(session(), place.tenant.slug, "suspended")
    try:
        assert error(place.refresh(app, token)) == (404, "not_found")
    finally:
        operator.set_status(session(), place.tenant.slug, "active")
