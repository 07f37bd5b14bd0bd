"""Tenants apart, every event told, secrets in no log: smart-checklist section W and 53, 90."""

import pytest

from fhir_server.security.audit_events import kinds
from tests.oauth.place import Place, error, request


def test_one_client_id_in_two_tenants(place: Place, other: Place) -> None:
    """smart-243"""
    here = place.app("client_secret_basic", client_id="same-id")
    there = other.app("client_secret_basic", client_id="same-id")
    assert here.secret != there.secret
    tokens = place.tokens(here)
    refused = other.call(here, "token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert error(refused) == (401, "invalid_client")
    assert error(other.refresh(there, tokens["refresh_token"])) == (400, "invalid_grant")
    assert not other.is_live(tokens["access_token"])
    other.call(there, "revoke", {"token": tokens["refresh_token"]})
    other.sql("UPDATE oauth_client SET status = 'disabled' WHERE tenant_id = $1 AND client_id = 'same-id'")
    assert place.is_live(tokens["access_token"]) and place.refresh(here, tokens["refresh_token"]).status == 200


@pytest.mark.parametrize("what", ["code", "access_token", "refresh_token", "client", "assertion"])
def test_things_of_one_tenant_are_garbage_in_another(place: Place, other: Place, what: str) -> None:
    """smart-242: same status, same body as something that never was."""
    app, twin = place.app("private_key_jwt"), other.app("private_key_jwt")
    tokens = place.tokens(app)

    def asks(value: str) -> list[tuple[int, bytes]]:
        usual = {"grant_type": "authorization_code", "redirect_uri": "https://app.example/cb", "code_verifier": "v" * 43}
        if what == "code":
            return [(a.status, a.body) for a in (other.call(twin, "token", {**usual, "code": value}),)]
        if what == "refresh_token":
            forms = [("token", {"grant_type": "refresh_token", "refresh_token": value}), ("introspect", {"token": value}), ("revoke", {"token": value})]
            return [(a.status, a.body) for a in (other.call(twin, name, form) for name, form in forms)]
        if what == "access_token":
            found = [other.call(twin, name, {"token": value}) for name in ("introspect", "revoke")]
            found.append(request("GET", f"{other.base}/Patient/x", authorization=f"Bearer {value}"))
            found.append(request("GET", other.url("userinfo"), authorization=f"Bearer {value}"))
            return [(a.status, a.body) for a in found]
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": value}
        return [(a.status, a.body) for a in (other.post("token", form),)]

    if what == "assertion":
        form = {"grant_type": "refresh_token", "refresh_token": "x"}
        mine = app.assertion(place, aud=other.url("token"))
        never = app.assertion(place, aud=other.url("token"), iss="never-was", sub="never-was")
        answers = [
            other.post("token", {**form, "client_assertion_type": app.proof(place)["client_assertion_type"], "client_assertion": value})
            for value in (mine, never)
        ]
        assert answers[0].status == 401 and answers[0].body == answers[1].body
        return
    given = {"code": place.new_code(app), "client": place.app().id, **tokens}[what]
    assert asks(given) == asks("n" * len(given))
    assert place.is_live(tokens["access_token"])


def _events(place: Place, client_id: str) -> list[str]:
    names = {kind.number: name for name, kind in kinds().items()}
    rows = place.sql("SELECT event FROM audit WHERE tenant_id = $1 AND client_id = $2 ORDER BY xid, seq", client_id)
    return [names[int(row[0] or b"0")] for row in rows]


def test_every_event_is_told_once(place: Place) -> None:
    """smart-247"""
    app = place.app()
    first = place.tokens(app)
    second = place.refresh(app, first["refresh_token"]).json
    place.call(app, "revoke", {"token": second["access_token"]})
    place.call(app, "revoke", {"token": second["access_token"]})
    place.call(app, "revoke", {"token": second["refresh_token"]})
    assert _events(place, app.id) == ["token-issued", "token-refreshed", "token-revoked", "token-revoked"]
    thief = place.app()
    code = place.new_code(thief)
    place.redeem(thief, code)
    place.redeem(thief, code)
    place.redeem(thief, code)
    assert _events(place, thief.id) == ["token-issued", "refresh-reuse"]
    backend = place.backend()
    place.system_token(backend)
    assert _events(place, backend.id) == ["token-issued"]


def test_no_token_lies_in_the_log(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """smart-90 smart-53 smart-250"""
    app = place.app("client_secret_basic")
    code = place.new_code(app)
    tokens = place.redeem(app, code).json
    again = place.redeem(app, code)
    place.post("introspect", {"token": tokens["access_token"]})
    audit = b"".join(row[0] or b"" for row in place.sql("SELECT a::text FROM audit AS a WHERE tenant_id = $1"))
    logs = "".join(capfd.readouterr()).encode()
    for secret in (code, tokens["access_token"], tokens["refresh_token"], app.secret or ""):
        assert secret.encode() not in audit + logs + again.body


def test_what_was_abandoned_goes_away(other: Place) -> None:
    """smart-245"""
    from fhir_server.storage import oauth_grants

    app = other.app()
    for _ in range(5):
        other.new_code(app)
    other.sql("UPDATE oauth_code SET expires_at = now() - interval '2 days' WHERE tenant_id = $1")
    other.sql("UPDATE oauth_grant SET created_at = now() - interval '2 days', last_used_at = now() - interval '2 days' WHERE tenant_id = $1")
    kept = other.tokens(app)
    other.within(lambda db: db.run(oauth_grants.sweep(other.tenant.id)))
    assert other.sql("SELECT count(*) FROM oauth_code WHERE tenant_id = $1")[0][0] == b"1"
    assert other.sql("SELECT count(*) FROM oauth_grant WHERE tenant_id = $1")[0][0] == b"1"
    assert other.refresh(app, kept["refresh_token"]).status == 200
