"""Clients' keys behind a URL: smart-checklist 186, 188 to 190, on a listener of this machine."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc.jwk import ECKey

from fhir_server.security.oauth import client_keys
from fhir_server.settings import settings
from tests.oauth.place import App, Place, error, public


@dataclass(slots=True)
class Listener:
    """What the client's server answers (`held`: not before this is set), and which paths were asked for."""

    port: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    held: threading.Event | None = None
    answered: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str = "jwks.json") -> str:
        """A URL of it."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def publish(self, *keys: ECKey, **headers: str) -> None:
        """Serve these keys."""
        self.body = json.dumps({"keys": [public(key) for key in keys]}).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A listener that this server may call."""
    here = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            if here.held is not None:
                here.held.wait(90)
            here.answered.append(self.path)
            with suppress(OSError):
                self.send_response(here.status)
                for name, value in here.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(here.body)))
                self.end_headers()
                self.wfile.write(here.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.port = server.server_address[1]
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{here.port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def _app(place: Place, listener: Listener, key: ECKey) -> App:
    return place.backend("ES384", key, jwks_uri=listener.url())


def test_a_key_set_by_url(place: Place, listener: Listener) -> None:
    """smart-188 smart-186: a `jku` that is the registered URL is as good as none."""
    key = ECKey.generate_key("P-384")
    listener.publish(key, Cache_Control="max-age=600")
    app = _app(place, listener, key)
    assert place.system_token(app).status == 200
    assert place.system_token(app, header={"jku": listener.url()}).status == 200
    assert listener.asked == ["/jwks.json"], "remembered as long as it says"


def test_a_foreign_jku_is_refused_without_a_fetch(place: Place, listener: Listener) -> None:
    """smart-186"""
    key = ECKey.generate_key("P-384")
    listener.publish(key)
    by_url, inline = _app(place, listener, key), place.backend("ES384", key)
    for app in (by_url, inline):
        answer = place.system_token(app, header={"jku": listener.url("evil.json")})
        assert error(answer) == (401, "invalid_client")
    assert error(place.system_token(inline, header={"jku": listener.url()})) == (401, "invalid_client")
    assert listener.asked == []


def test_max_age_is_honoured(place: Place, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """smart-189: after N seconds a key that was rotated out is refused."""
    old, new = ECKey.generate_key("P-384"), ECKey.generate_key("P-384")
    listener.publish(old, Cache_Control="max-age=60")
    app = _app(place, listener, old)
    assert place.system_token(app).status == 200
    listener.publish(new, Cache_Control="max-age=60")
    assert place.system_token(app).status == 200, "still remembered"
    later = time.monotonic() + 61
    monkeypatch.setattr(client_keys.time, "monotonic", lambda: later)
    assert error(place.system_token(app)) == (401, "invalid_client")
    assert place.system_token(App(app.client, None, new, "ES384")).status == 200


def test_no_store_is_honoured(place: Place, listener: Listener) -> None:
    """smart-189"""
    old, new = ECKey.generate_key("P-384"), ECKey.generate_key("P-384")
    listener.publish(old, Cache_Control="no-store")
    app = _app(place, listener, old)
    assert place.system_token(app).status == 200
    listener.publish(new, Cache_Control="no-store")
    assert error(place.system_token(app)) == (401, "invalid_client")


def test_new_kids_do_not_make_it_fetch_again_and_again(
    place: Place, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """smart-189: at most one refetch a minute."""
    key, stranger, new = (ECKey.generate_key("P-384") for _ in range(3))
    listener.publish(key, Cache_Control="max-age=3000")
    app = _app(place, listener, key)
    assert place.system_token(app).status == 200
    for _ in range(5):
        assert error(place.system_token(App(app.client, None, stranger, "ES384"))) == (401, "invalid_client")
    assert len(listener.asked) == 2
    listener.publish(key, new, Cache_Control="max-age=3000")
    later = time.monotonic() + 61
    monkeypatch.setattr(client_keys.time, "monotonic", lambda: later)
    assert place.system_token(App(app.client, None, new, "ES384")).status == 200
    assert len(listener.asked) == 3


@pytest.mark.parametrize("kind", ["status", "redirect", "not-json", "deep", "no-set", "large", "closed", "list"])
def test_a_key_set_that_cannot_be_had(place: Place, listener: Listener, kind: str) -> None:
    """smart-190"""
    key = ECKey.generate_key("P-384")
    listener.publish(key)
    app = _app(place, listener, key)
    if kind == "status":
        listener.status = 500
    elif kind == "redirect":
        listener.status, listener.headers = 302, {"Location": listener.url("elsewhere")}
    elif kind == "closed":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings.outbound_allow += f",127.0.0.1:{port}"
        app = place.backend("ES384", key, jwks_uri=f"http://127.0.0.1:{port}/jwks.json")
    else:
        listener.body = {
            "not-json": b"<html>", "deep": b"[" * 100_000, "no-set": b'{"keys": {}}',
            "large": b'{"keys": [' + b" " * 10_000_000 + b"]}", "list": b'{"keys": [1, null]}',
        }[kind]  # fmt: skip
    assert error(place.system_token(app)) == (401, "invalid_client")
    assert error(place.system_token(app)) == (401, "invalid_client")
    assert listener.asked in ([], ["/jwks.json"]), "and not at once again"


def test_a_slow_key_set(place: Place, listener: Listener) -> None:
    """smart-190"""
    key = ECKey.generate_key("P-384")
    listener.publish(key)
    listener.held = threading.Event()
    app = _app(place, listener, key)
    assert error(place.system_token(app)) == (401, "invalid_client")
    assert not listener.answered, "who asks for a token is answered before the key set comes"
    listener.held.set()


def test_private_addresses_are_not_called(place: Place, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """smart-190 sec-T13"""
    key = ECKey.generate_key("P-384")
    listener.publish(key)
    monkeypatch.setattr(settings, "outbound_allow", "")
    for uri in (listener.url(), f"https://127.0.0.1:{listener.port}/jwks.json", f"https://localhost:{listener.port}/jwks.json"):
        assert error(place.system_token(place.backend("ES384", key, jwks_uri=uri))) == (401, "invalid_client")
    assert listener.asked == []


def test_keys_that_do_not_fit(place: Place, listener: Listener) -> None:
    """smart-185 smart-180: two of one kid, another use, another algorithm, too short a modulus, private members."""
    key, twin = ECKey.generate_key("P-384"), ECKey.generate_key("P-384")
    kid = public(key)["kid"]
    for keys, accepted in (
        ([public(key), {**public(twin), "kid": kid}], False),
        ([{**public(key), "use": "enc"}], False),
        ([{**public(key), "alg": "ES256"}], False),
        ([{**public(key), "key_ops": ["encrypt"]}], False),
        ([{"kty": "RSA", "n": "AQAB" * 40, "e": "AQAB", "kid": kid}], False),
        ([{"kty": "oct", "k": "AAAA", "kid": kid}], False),
        ([{**public(key), "x": "AAAA"}], False),
        ([{**public(key), "x": 5}], False),
        ([{"kty": "OKP"}, {**public(key), "alg": "ES384", "key_ops": ["verify"]}], True),
    ):
        listener.body = json.dumps({"keys": keys}).encode()
        listener.headers = {"Cache-Control": "no-store"}
        assert (place.system_token(_app(place, listener, key)).status == 200) == accepted
