"""fhir-server client: what the operator does by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli.client import client
from tests.oauth.place import App, Place, basic, error

Call = Callable[..., Any]


@pytest.fixture
def call(place: Place, tmp_path: Path) -> Call:
    """Runs `fhir-server client …` on the module's tenant; a dict becomes a file."""

    def run(command: str, *arguments: object, code: int = 0) -> Any:
        given = []
        for each in arguments:
            if isinstance(each, dict):
                (tmp_path / "client.json").write_text(json.dumps(each))
                each = tmp_path / "client.json"
            given.append(str(each))
        result = CliRunner().invoke(client, [command, *given, "--tenant", place.tenant.slug, "--json"])
        assert (0 if result.exception is None else 1) == code, result.output
        return json.loads(result.stdout) if code == 0 else str(result.exception)

    return run


_APP = {
    "client_name": "My app", "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["authorization_code", "refresh_token"], "scope": "openid patient/*.rs offline_access",
}  # fmt: skip


def _secret_is_good(place: Place, client_id: str, secret: str) -> bool:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    return error(place.post("token", form, authorization=basic(client_id, secret))) == (400, "invalid_grant")


def test_a_client_is_made_and_its_secret_shown_once(call: Call, place: Place) -> None:
    made = call("create", {**_APP, "launch_url": "https://app.example/launch"})
    assert made["client_name"] == "My app" and made["launch_url"] and made["status"] == "active"
    assert _secret_is_good(place, made["client_id"], made["client_secret"])
    listed = [row for row in call("list") if row["client_id"] == made["client_id"]]
    assert len(listed) == 1 and "client_secret" not in listed[0]
    assert call("create", {**_APP, "client_id": "chosen-id"})["client_id"] == "chosen-id"
    assert "already a client" in call("create", {**_APP, "client_id": "chosen-id"}, code=1)


def test_faults_of_the_file(call: Call, tmp_path: Path) -> None:
    assert "redirect URI" in call("create", {**_APP, "redirect_uris": ["http://app.example/cb"]}, code=1)
    assert "client_id" in call("create", {**_APP, "client_id": "a b"}, code=1)
    bad = tmp_path / "bad.json"
    bad.write_text("[1")
    assert "JSON object" in call("create", bad, code=1)
    assert "no client nobody" in call("disable", "nobody", code=1)


def test_two_secrets_live_while_they_are_changed(call: Call, place: Place) -> None:
    """sec-2.1.10"""
    made = call("create", _APP)
    secrets = [made["client_secret"], *(call("rotate-secret", made["client_id"])["client_secret"] for _ in range(2))]
    assert [_secret_is_good(place, made["client_id"], each) for each in secrets] == [False, True, True]
    public = call("create", {**_APP, "token_endpoint_auth_method": "none"})
    assert "secret" in call("rotate-secret", public["client_id"], code=1)


def test_a_disabled_client_is_out_at_once(call: Call, place: Place) -> None:
    """smart-117"""
    app: App = place.app()
    tokens = place.tokens(app)
    assert call("disable", app.id)["status"] == "disabled"
    assert not place.is_live(tokens["access_token"])
    assert error(place.refresh(app, tokens["refresh_token"])) == (401, "invalid_client")
    assert call("enable", app.id)["status"] == "active"
    assert error(place.refresh(app, tokens["refresh_token"])) == (400, "invalid_grant")


def test_keys_are_rotated(call: Call, place: Place) -> None:
    """smart-100"""
    from tests.oauth.place import request

    kid = call("rotate-keys")["kid"]
    assert request("GET", place.url("jwks")).json["keys"][0]["kid"] == kid
