"""Health and metrics of the web process."""

from collections.abc import Iterator

import pytest
from werkzeug.test import Client, TestResponse

from fhir_server.app import app
from fhir_server.rest import dispatch
from fhir_server.settings import settings
from tests.conftest import TestTenant


@pytest.fixture
def web() -> Client:
    """HTTP to the whole web application, from loopback."""
    return Client(app)


@pytest.fixture
def metrics_token(monkeypatch: pytest.MonkeyPatch) -> str:
    """The operator has set a token for metrics."""
    monkeypatch.setattr(settings, "metrics_token", "prometheus")
    return "prometheus"


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next connection finds no server."""
    session = dispatch.session()
    session.close()
    with monkeypatch.context() as patch:
        patch.setattr(session, "_conninfo", b"host=/nonexistent user=fhir_app dbname=fhir")
        yield
    session.close()


def _metrics(web: Client, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.get("/metrics", headers=named, environ_base={"REMOTE_ADDR": "127.0.0.1"})


def test_live_and_ready_need_no_token(web: Client) -> None:
    assert web.get("/health/live").json == {"status": "live"}
    ready = web.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json == {"status": "ready", "worker_queue": "up"}


def test_without_valkey_it_still_serves_and_says_so(web: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "redis_url", "unix:///nonexistent")
    ready = web.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json == {"status": "ready", "worker_queue": "down"}


@pytest.mark.usefixtures("no_database")
def test_without_its_database_it_is_not_ready(web: Client) -> None:
    ready = web.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["status"] == "unavailable"
    assert web.get("/health/live").status_code == 200


def test_requests_are_counted_without_their_paths(web: Client, tenant: TestTenant) -> None:
    tenant.client().get("Patient?family=Somebody")
    text = _metrics(web).text
    assert 'fhir_requests_total{method="GET",status="200"}' in text
    assert "fhir_request_seconds_bucket" in text
    assert "Somebody" not in text
    assert "Patient" not in text


@pytest.mark.parametrize(("method", "path", "status"), [
    ("POST", "tickets/secret", 405), ("GET", "tickets/secret/cancel", 405), ("GET", "tickets", 404),
    ("DELETE", "calendars/secret.ics", 405), ("GET", "calendars/x", 404), ("GET", "messages/twilio/status", 405),
    ("POST", "messages/other", 404), ("GET", "events/x/y/z", 404),
])  # fmt: skip
def test_what_is_not_there_beside_fhir_is_said_as_fhir_says_it(
    web: Client, tenant: TestTenant, method: str, path: str, status: int
) -> None:
    answer = web.open(f"/t/{tenant.slug}/{path}", method=method)
    assert answer.status_code == status
    body = answer.json
    assert body is not None and body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["details"]["text"].endswith(".") and "secret" not in answer.text
    assert ("Allow" in answer.headers) == (status == 405)


def test_metrics_are_for_this_machine_when_there_is_no_token(web: Client) -> None:
    assert _metrics(web).status_code == 200
    assert web.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 401
    assert _metrics(web, X_Forwarded_For="192.0.2.7").status_code == 401


def test_metrics_are_for_the_holder_of_the_token(web: Client, metrics_token: str) -> None:
    assert _metrics(web).status_code == 401
    assert _metrics(web, Authorization="Bearer wrong").status_code == 401
    assert _metrics(web, Authorization=f"Bearer {metrics_token}").status_code == 200
