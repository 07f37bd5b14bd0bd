"""Web push: a browser's own keys open what was sent, services that are gone are forgotten, no address inside is called."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import urandom
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from fhir_server.core.keys import self_key
from fhir_server.features.notifications import web_push
from fhir_server.settings import settings
from fhir_server.storage import push_subscriptions
from tests.client import Answer, Client
from tests.features.notifications.sending import Clinic


def coded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Browser:
    """A browser with its push service."""

    def __init__(self, service: "Service", name: str = "b1") -> None:
        self.key, self.secret = ec.generate_private_key(ec.SECP256R1()), urandom(16)
        self.point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.endpoint = f"http://127.0.0.1:{service.server_port}/{name}"

    def subscription(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, "p256dh": coded(self.point), "auth": coded(self.secret)}

    def opened(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm"))


class Service(ThreadingHTTPServer):
    """A push service: status by path, and what it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.given: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.given.append((self.path, dict(self.headers.items()), body))
        self.send_response(self.server.statuses.get(self.path, 201))
        self.send_header("Content-Length", "0")
        if self.server.statuses.get(self.path) == 429:
            self.send_header("Retry-After", "900")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    server = Service()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(settings, "outbound_allow", f"127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def call(client: Client, patient: str, operation: str, values: dict[str, str]) -> Answer:
    kinds = {"endpoint": "valueUrl", "p256dh": "valueString", "auth": "valueString"}
    parameter = [{"name": name, kinds[name]: value} for name, value in values.items()]
    return client.post(f"{patient}/${operation}", {"resourceType": "Parameters", "parameter": parameter})


def subscribe(clinic: Clinic, browser: Browser) -> None:
    answer = call(clinic.tenant.client(), clinic.patient, "push-subscribe", browser.subscription())
    assert answer.status == 200, answer.text


def push(clinic: Clinic, occasion: str = "o1", **more: Any) -> str:
    clinic.enqueue(clinic.draft(occasion, "push", "", **{"subject": "Clinique", "text": "Votre tour approche", **more}))
    clinic.tend()
    return clinic.messages()[f"{occasion}/push"].state


def browsers(clinic: Clinic) -> int:
    ctx = clinic.context()
    found = push_subscriptions.of_person(ctx.db, ctx.tenant.id, self_key(*clinic.patient.split("/")))
    ctx.db.commit()
    return len(found)


def test_the_browser_can_read_it_and_nobody_else(clinic: Clinic, service: Service) -> None:
    browser = Browser(service)
    subscribe(clinic, browser)
    assert push(clinic, link="https://c.example/x") == "sent"
    _, headers, body = service.given[0]
    assert b"tour" not in body
    shown = browser.opened(body)
    assert (shown["title"], shown["body"], shown["url"]) == ("Clinique", "Votre tour approche", "https://c.example/x")
    assert headers["Content-Encoding"] == "aes128gcm" and 60 <= int(headers["TTL"]) <= 86400
    assert len(headers["Topic"]) <= 32 and headers["Urgency"] == "normal"
    assert clinic.communication("o1/push")["status"] == "completed"


def test_the_signature_is_by_the_key_that_the_browser_subscribed_with(clinic: Clinic, service: Service) -> None:
    key = clinic.tenant.client().get(f"{clinic.patient}/$push-key").json["parameter"][0]["valueString"]
    subscribe(clinic, Browser(service))
    push(clinic)
    signed = service.given[0][1]["Authorization"]
    assert signed.endswith(f"k={key}") and Vapid02.verify(signed)
    assert clinic.tenant.client().get(f"{clinic.patient}/$push-key").json["parameter"][0]["valueString"] == key


def test_every_tenant_has_its_own_key(clinic: Clinic, new_tenant: Any) -> None:
    other = new_tenant().client()
    person = other.create({"resourceType": "Patient"})
    keys = {
        client.get(f"{patient}/$push-key").json["parameter"][0]["valueString"]
        for client, patient in ((clinic.tenant.client(), clinic.patient), (other, f"Patient/{person['id']}"))
    }
    assert len(keys) == 2 and all(len(key) == 87 for key in keys)


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(clinic: Clinic, service: Service, status: int) -> None:
    gone, there = Browser(service, "gone"), Browser(service, "there")
    subscribe(clinic, gone)
    subscribe(clinic, there)
    service.statuses["/gone"] = status
    assert push(clinic) == "sent" and browsers(clinic) == 1
    assert push(clinic, "o2") == "sent"
    assert [path for path, _, _ in service.given].count("/gone") == 1


def test_without_a_browser_another_channel_is_asked(clinic: Clinic, service: Service) -> None:
    subscribe(clinic, Browser(service, "gone"))
    service.statuses["/gone"] = 410
    clinic.others = {"sms": clinic.draft("")}
    assert push(clinic) == "failed"
    assert clinic.messages()["o1/sms"].state in ("queued", "sent")
    assert push(clinic, "o2") == "failed" and clinic.messages()["o2/push"].error == "no-browser"


@pytest.mark.parametrize(("status", "state"), [(429, "queued"), (500, "queued"), (413, "failed"), (400, "failed")])
def test_what_services_say(clinic: Clinic, service: Service, status: int, state: str) -> None:
    subscribe(clinic, Browser(service))
    service.statuses["/b1"] = status
    assert push(clinic) == state
    if status == 429:
        row = clinic.messages()["o1/push"]
        assert (row.next_attempt - row.changed_at).total_seconds() >= 899


def test_news_of_one_ticket_replace_one_another(clinic: Clinic) -> None:
    one = clinic.draft("o1", "push", "", kind="ticket-soon", about="Task/1")
    two = clinic.draft("o2", "push", "", kind="ticket-called", about="Task/1")
    other = clinic.draft("o3", "push", "", kind="reminder", about="Task/1")
    assert web_push.topic(one) == web_push.topic(two) != web_push.topic(other)


def test_a_patient_subscribes_for_himself_only(clinic: Clinic, service: Service) -> None:
    staff = clinic.tenant.client()
    other = staff.create({"resourceType": "Patient"})
    me = clinic.tenant.client("patient/*.rs patient/Communication.c", patient=clinic.patient.split("/")[1])
    browser = Browser(service).subscription()
    assert call(me, clinic.patient, "push-subscribe", browser).status == 200
    assert call(me, f"Patient/{other['id']}", "push-subscribe", browser).status in (403, 404)
    assert call(me, f"Patient/{other['id']}", "push-unsubscribe", {"endpoint": browser["endpoint"]}).status in (403, 404)
    assert browsers(clinic) == 1
    reader = clinic.tenant.client("system/Patient.rs")
    assert call(reader, clinic.patient, "push-subscribe", browser).status == 403
    assert call(Client(clinic.tenant.slug, None), clinic.patient, "push-subscribe", browser).status == 401


def test_who_may_not_write_messages_diverts_none(clinic: Clinic, service: Service) -> None:
    own, browser = clinic.patient.split("/")[1], Browser(service).subscription()
    subscribe(clinic, Browser(service, "b2"))
    readers = [clinic.tenant.client("patient/Patient.rs patient/Appointment.rs", patient=own),
               clinic.tenant.client("patient/*.rus", patient=own), clinic.tenant.client("user/Patient.cruds"),
               clinic.tenant.client("user/Patient.rs user/Communication.cruds")]  # fmt: skip
    for by in readers:
        assert call(by, clinic.patient, "push-subscribe", browser).status == 403
        gone = call(by, clinic.patient, "push-unsubscribe", {"endpoint": Browser(service, "b2").endpoint})
        assert gone.status == 403
    assert browsers(clinic) == 1
    staff = clinic.tenant.client("user/Patient.cruds user/Communication.cruds")
    assert call(staff, clinic.patient, "push-subscribe", browser).status == 200


def test_unsubscribe(clinic: Clinic, service: Service) -> None:
    browser = Browser(service)
    subscribe(clinic, browser)
    first = call(clinic.tenant.client(), clinic.patient, "push-unsubscribe", {"endpoint": browser.endpoint})
    again = call(clinic.tenant.client(), clinic.patient, "push-unsubscribe", {"endpoint": browser.endpoint})
    assert [answer.json["parameter"][0]["valueBoolean"] for answer in (first, again)] == [True, False]
    assert browsers(clinic) == 0


def test_the_eleventh_browser_pushes_the_first_out(clinic: Clinic, service: Service) -> None:
    for number in range(12):
        subscribe(clinic, Browser(service, f"b{number}"))
    subscribe(clinic, Browser(service, "b11"))
    assert browsers(clinic) == 10


@pytest.mark.parametrize(("field", "value"), [
    ("endpoint", "http://push.example/x"), ("endpoint", "https://127.0.0.1/x"), ("endpoint", "https://169.254.169.254/x"),
    ("endpoint", "https://[::1]/x"), ("endpoint", "file:///etc/passwd"), ("endpoint", "https://a.example/" + "x" * 1500),
    ("endpoint", "https://user@push.example/"), ("p256dh", "AAAA"), ("p256dh", "é"), ("p256dh", coded(b"\x04" + b"\x01" * 64)),
    ("auth", "AAAA"), ("auth", "*" * 22), ("auth", coded(b"x" * 17)),
])  # fmt: skip
def test_what_is_no_subscription_is_refused_by_name(clinic: Clinic, service: Service, field: str, value: str) -> None:
    given = {**Browser(service).subscription(), field: value}
    answer = call(clinic.tenant.client(), clinic.patient, "push-subscribe", given)
    assert answer.status == 422, answer.text
    assert field in answer.issues[0]["expression"][0] and browsers(clinic) == 0


def test_a_name_that_leads_inside_is_not_called(clinic: Clinic, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked public when it was subscribed, and leads to this machine when it is called."""
    subscribe(clinic, Browser(service))
    monkeypatch.setattr(settings, "outbound_allow", "")
    assert push(clinic) == "failed" and service.given == []


def test_endpoints_are_sealed(clinic: Clinic, service: Service) -> None:
    browser = Browser(service)
    subscribe(clinic, browser)
    ctx = clinic.context()
    rows = push_subscriptions.of_person(ctx.db, ctx.tenant.id, self_key(*clinic.patient.split("/")))
    ctx.db.commit()
    assert browser.endpoint.encode() not in rows[0].sealed
