"""What one tenant's data says stands in that tenant's rows and in answers to its own callers, and nowhere else: not in
logs, metrics, queues, the audit log's open columns, or anything said to another tenant. sec-T25, sec-5, smart-90
"""

import base64
import http.client
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import redis
from psycopg import sql

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import encode
from fhir_server.rest.dispatch import session
from fhir_server.security import accounts
from fhir_server.settings import settings
from fhir_server.storage import tenants
from fhir_server.supervisor import layout, postgres
from fhir_server.validation.run import check
from tests.conftest import TestTenant
from tests.isolation.attackers import one_of_each
from tests.shared_data import needs_shared

CANARY = "CANARYQX"
_FOUND = re.compile(CANARY.encode(), re.IGNORECASE)
_WORDS = frozenset(
    {"display", "text", "title", "description", "family", "comment", "name", "value", "reference", "system"}
)
FORM = "application/x-www-form-urlencoded"
# The columns that hold a tenant's own content in clear; every other one must not. audit is not among them.
_CONTENT = frozenset({
    "resource.id", "resource.body", "resource_history.body", "string.val", "user_account.email", "user_account.name",
    "oauth_client.metadata", "oauth_client.client_id", "definition.id", "used_code.system", "used_code.code",
})  # fmt: skip


def _sung(value: Any, key: str = "") -> Any:
    """A resource whose texts all hold the canary."""
    if isinstance(value, dict):
        return {name: _sung(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [_sung(child, key) for child in value]
    return f"{value} {CANARY}" if isinstance(value, str) and key in _WORDS else value


def _songs() -> Iterator[dict[str, Any]]:
    """A resource of each type, its texts full of the canary where that is valid, and its id and tag in any case."""
    registry = base_registry()
    for name, example in one_of_each().items():
        meta = {"tag": [{"system": f"urn:{CANARY}", "code": CANARY, "display": CANARY}]}
        own = {"id": f"{CANARY}-{name}"[:64], "meta": meta, **({"status": "draft"} if name == "Consent" else {})}
        full = {**_sung(example), **own}
        bad = any(issue.severity in ("error", "fatal") for issue in check(registry, full))
        yield {**example, **own} if bad else full


class Wire:
    """Requests over a socket to the live server, as any client sends them; keeps all that was answered."""

    def __init__(self, origin: str, slug: str, token: str | None) -> None:
        self._host = urlsplit(origin).netloc
        self.slug = slug
        self.token = token
        self.said: list[bytes] = []

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> int:
        """Send to the FHIR base, or to `path` when that begins with a slash; the status."""
        url = path if path.startswith("/") else f"/t/{self.slug}/fhir/{path}"
        data = encode(body) if isinstance(body, (dict, list)) else body
        named = {"Content-Type": "application/fhir+json", **(headers or {})}
        if self.token and "Authorization" not in named:
            named["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self._host, timeout=120)
        try:
            connection.request(method, quote(url, safe="/?&=%:,|$*+;@!~"), data, named)
            answer = connection.getresponse()
            self.said.append(str(answer.headers).encode() + answer.read())
            return answer.status
        finally:
            connection.close()


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": f"{CANARY}-p", "identifier": [{"system": f"urn:{CANARY}", "value": CANARY}],
        "name": [{"family": CANARY, "given": [CANARY]}], "birthDate": "1970-01-01", "telecom": [{"system": "email", "value": f"{CANARY}@x.org"}],
    }  # fmt: skip


def _good(wire: Wire) -> None:
    patient = f"Patient/{CANARY}-p"
    for method, path, body in (
        ("PUT", patient, _patient()), ("GET", patient, None), ("GET", f"{patient}/_history", None), ("GET", f"{patient}/$everything", None),
        ("GET", f"Patient?name={CANARY}&identifier=urn:{CANARY}|{CANARY}&_sort=family&_include=*", None),
        ("GET", f"Patient?_content={CANARY}&_total=accurate", None), ("GET", f"Patient?name={CANARY}&_explain=true", None),
        ("GET", f"Observation?subject:Patient.name={CANARY}", None), ("GET", f"Patient?_has:Observation:subject:code={CANARY}", None),
        ("GET", f"Patient?_filter=name co {CANARY}", None), ("PUT", f"Patient?identifier=urn:{CANARY}|{CANARY}", _patient()),
        ("POST", "Patient/$validate", _patient()), ("GET", "AuditEvent?_count=5", None), ("GET", f"{patient}/$disclosures", None),
    ):  # fmt: skip
        wire.send(method, path, body)
    wire.send("POST", "Patient/_search", f"name={CANARY}", {"Content-Type": FORM})
    wire.send("POST", "Patient", _patient(), {"If-None-Exist": f"name={CANARY}"})
    wire.send("POST", "Binary", CANARY.encode(), {"Content-Type": "text/plain", "X-Security-Context": patient})
    change = [{"op": "add", "path": "/language", "value": "fr"}]
    wire.send("PATCH", patient, change, {"Content-Type": "application/json-patch+json"})


def _bad(wire: Wire) -> None:
    """Requests that fail at every layer, with the canary where each of them looks."""
    c = CANARY
    for method, path, body in (
        ("GET", f"Patient/{c}", None), ("GET", f"{c}/{c}", None), ("GET", f"Patient/{c}%00{c}", None), ("GET", f"Patient?{c}={c}", None),
        ("GET", f"Patient?birthdate={c}", None), ("GET", f"Patient?_sort={c}", None), ("GET", f"Patient?_include={c}", None),
        ("GET", f"Patient?name:{c}={c}", None), ("GET", f"Patient?_filter={c} {c} {c}", None), ("GET", f"Patient?_cursor={c}", None),
        ("GET", f"Patient/${c}", None), ("GET", f"Patient/{c}/_history/{c}", None), ("GET", f"Patient/_history?_since={c}", None),
        ("GET", f"Patient?name={c}%ff%fe", None), ("GET", f"Patient?name={c * 300}", None), ("GET", f"Patient?_count={c}", None),
        ("GET", f"Observation?value-quantity={c}", None), ("GET", f"Observation?code:in=http://{c}", None), ("GET", f"metadata?mode={c}", None),
        ("POST", "Patient", f'{{"resourceType":"Patient","name":"{c}"'), ("POST", "Patient", f'{{"resourceType":"{c}"}}'),
        ("POST", "Patient", {"resourceType": "Patient", "gender": c, c: c}), ("POST", "Patient", f'{{"{c}":1,"{c}":2}}'),
        ("POST", "Patient", "[" * 3000 + c), ("POST", "Patient", f'{{"resourceType":"Patient","id":"\\u0000{c}"}}'),
        ("PUT", f"Patient/{c}", {"resourceType": "Patient", "id": f"{c}x"}), ("PUT", f"Patient/{c}_", {"resourceType": "Patient", "id": f"{c}_"}),
        ("PATCH", f"Patient/{c}-p", [{"op": c, "path": f"/{c}"}]), ("DELETE", f"Patient?{c}={c}", None), ("POST", "", {"resourceType": "Bundle", "type": c}),
        ("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "PUT", "url": f"{c}/{c}"}, "resource": _patient()}]}),
        ("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": f"Patient?{c}={c}"}}]}),
        ("POST", "Observation", {"resourceType": "Observation", "status": "final", "code": {"text": c}, "subject": {"reference": f"{c}/{c}"}}),
        (c, "Patient", None), ("GET", f"Patient/{c}/../../{c}", None), ("GET", f"Patient?_id={c},{c}&_elements={c}&_summary={c}", None),
    ):  # fmt: skip
        wire.send(method, path, body)
    for headers in (
        {"If-Match": c}, {"If-Modified-Since": c}, {"Accept": f"text/{c}"}, {"Content-Type": f"text/{c}"}, {"Prefer": f"return={c}"},
        {"Content-Encoding": c}, {"Authorization": f"Bearer {c}"}, {"Authorization": f"Basic {c}"}, {"User-Agent": c}, {"Referer": f"http://{c}"},
        {"X-Forwarded-For": c}, {"If-None-Exist": f"{c}={c}"}, {"Cookie": f"session={c}"}, {"Content-Type": "application/fhir+xml"},
    ):  # fmt: skip
        wire.send("PUT", f"Patient/{c}-h", f"<Patient xmlns='http://hl7.org/fhir'><{c}/></Patient>", headers)
        wire.send("GET", f"Patient/{c}-p", None, headers)


def _signing_in(wire: Wire) -> None:
    """The pages and endpoints of the authorization server, with the canary in every field."""
    c, root = CANARY, f"/t/{wire.slug}/oauth"
    basic = {"Authorization": "Basic " + base64.b64encode(f"{c}:{c}".encode()).decode()}
    fields = {
        "grant_type": "authorization_code",
        "code": c,
        "client_id": c,
        "client_secret": c,
        "redirect_uri": f"https://{c}",
        "code_verifier": c * 6,
    }
    for path, form in (
        ("token", fields), ("token", {**fields, "grant_type": "refresh_token", "refresh_token": c}), ("token", {"grant_type": c}),
        ("token", {"grant_type": "client_credentials", "client_assertion": f"{c}.{c}.{c}", "scope": c,
                   "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}),
        ("introspect", {"token": c}), ("revoke", {"token": c}), ("login", {"username": f"{c}@x.org", "password": c}),
        ("login", {"username": f"{c}-user@x.org", "password": f"{c} wrong"}), ("login?lang=en", {c: c}),
    ):  # fmt: skip
        for headers in ({}, basic, {"Authorization": f"Bearer {c}"}):
            wire.send("POST", f"{root}/{path}", urlencode(form), {"Content-Type": FORM, **headers})
    asked = {
        "response_type": "code",
        "client_id": c,
        "redirect_uri": f"https://{c}/",
        "scope": c,
        "state": c,
        "aud": f"https://{c}",
        "launch": c,
    }
    wire.send("GET", f"{root}/authorize?{urlencode(asked)}")
    wire.send("GET", f"{root}/userinfo", None, {"Authorization": f"Bearer {c}"})
    wire.send(
        "POST", f"{root}/register", {"client_name": c, "redirect_uris": [f"https://{c}"], "jwks_uri": f"https://{c}"}
    )
    for path in (
        f"{c}",
        f"reset?token={c}",
        f"invitation?token={c}",
        f"login?return_to={c}",
        f"static/{c}.css",
        f"register/{c}",
    ):
        wire.send("GET", f"{root}/{path}")


@pytest.fixture(scope="module")
def sung(tenant: TestTenant, new_tenant: Any, live_server: str) -> tuple[Wire, Wire]:
    """The tenant full of the canary after a broad run, and another tenant after asking for everything there is."""
    wire = Wire(live_server, tenant.slug, tenant.token("system/*.cruds operator"))
    entries = [
        {"resource": song, "request": {"method": "PUT", "url": f"{song['resourceType']}/{song['id']}"}}
        for song in _songs()
    ]
    assert wire.send("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}) == 200
    db = session()
    db.enter(tenant.id, None, tenants.find(db, tenant.slug).registry_version)
    accounts.create(
        db, tenant.id, email=f"{CANARY}-user@x.org", role="nurse", password=f"{CANARY} correct horse", name=CANARY
    )
    db.commit()
    for run in (_good, _bad, _signing_in):
        run(wire)
    wire.token = tenant.token("system/Basic.rs")
    _bad(wire)
    wire.token = None
    _bad(wire)
    other = new_tenant()
    stranger = Wire(live_server, other.slug, other.token())
    _strange(stranger)
    return wire, stranger


def _strange(wire: Wire) -> None:
    """What another tenant asks, without ever saying the canary itself."""
    for name in one_of_each():
        for path in (
            name,
            f"{name}?_total=accurate&_include=*&_revinclude=*",
            f"{name}/_history",
            f"{name}/$meta",
            f"{name}/x",
        ):
            wire.send("GET", path)
    for path in (
        "",
        "_history",
        "metadata",
        "$meta",
        "Patient?name=c",
        "AuditEvent",
        "nonsense",
        "Patient?x=y",
        "/metrics",
        "/health/ready",
    ):
        wire.send("GET", path)
    for path in ("authorize", "login", "jwks", ".well-known/openid-configuration", "account", "userinfo"):
        wire.send("GET", f"/t/{wire.slug}/oauth/{path}")
    wire.send("GET", ".well-known/smart-configuration")


def _files() -> Iterator[Path]:
    """Every file of the instance but PostgreSQL's own and the key."""
    data = Path(settings.data_dir)
    for folder, folders, names in os.walk(data):
        if Path(folder) == data:
            folders.remove("postgres")
        yield from (Path(folder) / name for name in names)


def _leaking() -> list[str]:
    found = []
    for path in _files():
        if path.is_file():
            lines = [line for line in path.read_bytes().splitlines() if _FOUND.search(line)]
            found += [f"{path.name}: {line[:300]!r}" for line in lines[:3]]
    return found


@needs_shared
def test_the_run_was_broad(sung: tuple[Wire, Wire]) -> None:
    """The known good: the tenant's own callers are told, so the canary was alive."""
    wire, stranger = sung
    assert sum(1 for said in wire.said if _FOUND.search(said)) > 30
    assert len(stranger.said) > 500


@needs_shared
def test_logs_and_files(sung: tuple[Wire, Wire]) -> None:
    """sec-5, sec-40"""
    assert any(path.suffix == ".log" and path.stat().st_size > 10_000 for path in _files())
    assert _leaking() == []


@needs_shared
def test_metrics(sung: tuple[Wire, Wire], live_server: str, tenant: TestTenant) -> None:
    """sec-5"""
    wire = Wire(live_server, tenant.slug, None)
    assert wire.send("GET", "/metrics") == 200
    assert b"fhir_requests_total" in wire.said[0]
    assert not _FOUND.search(wire.said[0])
    assert tenant.slug.encode() not in wire.said[0]


@needs_shared
def test_queues(sung: tuple[Wire, Wire]) -> None:
    """sec-5: every key and value of Valkey."""
    with redis.Redis.from_url(settings.broker_url()) as store:
        keys = list(store.scan_iter(count=1000))
        dumped = b"".join([key + (store.dump(key) or b"") for key in keys])
    assert not _FOUND.search(dumped)


@needs_shared
def test_what_another_tenant_is_told(sung: tuple[Wire, Wire]) -> None:
    """sec-3, sec-5"""
    assert [said[:300] for said in sung[1].said if _FOUND.search(said)] == []


_COLUMNS = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"


@needs_shared
def test_columns(sung: tuple[Wire, Wire]) -> None:
    """sec-5: the canary stands in the columns that hold content, and in no other column of any table."""
    found = set()
    with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as db:
        for table, column, kind in db.execute(_COLUMNS).fetchall():
            name = sql.Identifier(column)
            text = sql.SQL("encode({}, 'escape')" if kind == "bytea" else "{}::text").format(name)
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} ILIKE %s)").format(sql.Identifier(table), text)
            if db.execute(query, [f"%{CANARY}%"]).fetchone() == (True,):
                found.add(f"{table}.{column}")
    assert found >= {"resource.body", "resource_history.body", "string.val", "user_account.email"}
    assert found - _CONTENT == set()


@needs_shared
def test_the_grep_tells(sung: tuple[Wire, Wire], live_server: str) -> None:
    """Known bad: a file beside the logs that says it is found."""
    path = Path(settings.data_dir) / "logs" / "careless.log"
    path.write_text(f'{{"event": "name is {CANARY.lower()}"}}\n')
    try:
        assert [each.partition(":")[0] for each in _leaking()] == ["careless.log"]
    finally:
        path.unlink()
