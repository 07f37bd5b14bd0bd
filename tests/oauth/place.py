"""A tenant's authorization server as the tests use it: clients, users, grants as the consent page makes them, requests."""

import base64
import hashlib
import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import create_environ, run_wsgi_app

from fhir_server.app import app
from fhir_server.authorization_server import account, authorization, endpoints
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security.oauth import clients, grants
from fhir_server.security.oauth.clients import Client
from fhir_server.site import site
from fhir_server.storage.session import Session
from tests.client import ORIGIN, Answer
from tests.conftest import TestTenant

for _bp in (endpoints.bp, authorization.bp, account.bp):
    if _bp.name not in site.blueprints:
        site.register_blueprint(_bp)

T = TypeVar("T")
FORM = "application/x-www-form-urlencoded"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REDIRECT = "https://app.example/cb"
VERIFIER = "v" * 20 + "-._~" + "A1" * 20
_numbers = itertools.count(1)
_EC, _RSA = ECKey.generate_key("P-384"), RSAKey.generate_key(2048)


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def request(
    method: str, path: str, body: str | bytes = b"", *, scheme: str = "http", **headers: str
) -> Answer:
    """Send a request to the application. Header names: `content_type` is Content-Type."""
    location, _, query = path.removeprefix(ORIGIN).partition("?")
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    data = body.encode() if isinstance(body, str) else body
    environ = create_environ(location, ORIGIN, query_string=query, method=method, data=data, headers=named)
    parts, status, answer_headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(int(status.split()[0]), answer_headers, b"".join(parts))


def basic(client_id: str, secret: str) -> str:
    """An Authorization header as RFC 6749 2.3.1 wants it."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def at_once(count: int, do: Callable[[int], T]) -> list[T]:
    """What `count` threads get that do the same at the same moment."""

    def one(number: int) -> T:
        try:
            return do(number)
        finally:
            session().close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@dataclass(frozen=True, slots=True)
class App:
    """A registered client with what it knows."""

    client: Client
    secret: str | None
    key: RSAKey | ECKey | None = None
    alg: str = ""

    @property
    def id(self) -> str:
        """Its client_id."""
        return self.client.client_id

    def proof(self, place: "Place", **claims: Any) -> dict[str, str]:
        """What it adds to a form to authenticate by post, assertion, or not at all."""
        if self.key is not None:
            return {"client_assertion_type": ASSERTION, "client_assertion": self.assertion(place, **claims)}
        if self.client.auth_method == "client_secret_post":
            return {"client_id": self.id, "client_secret": self.secret or ""}
        return {"client_id": self.id} if self.secret is None else {}

    def headers(self) -> dict[str, str]:
        """The headers that it authenticates with."""
        return {"authorization": basic(self.id, self.secret or "")} if self.uses_basic else {}

    @property
    def uses_basic(self) -> bool:
        """Whether it authenticates by a header."""
        return self.client.auth_method == "client_secret_basic"

    def assertion(self, place: "Place", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion; claims that are None are left out."""
        now = int(time.time())
        usual = {"iss": self.id, "sub": self.id, "aud": place.url("token"), "exp": now + 240, "jti": secrets.token_hex(8)}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        assert self.key is not None
        head = {"alg": self.alg, "kid": public(self.key)["kid"], "typ": "JWT", **(header or {})}
        return sign({name: value for name, value in head.items() if value is not None}, said, self.key)


def sign(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """A JWT, whatever its header says."""
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jwt.encode(header, claims, key, registry=registry)


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant's authorization server."""

    tenant: TestTenant

    def url(self, name: str) -> str:
        """A URL below the issuer."""
        return f"{ORIGIN}/t/{self.tenant.slug}/oauth/{name}"

    @property
    def base(self) -> str:
        """The FHIR base."""
        return f"{ORIGIN}/t/{self.tenant.slug}/fhir"

    def within(self, work: Callable[[Session], T]) -> T:
        """Do something in a transaction of the tenant, as the server does between two requests."""
        db = session()
        db.enter(self.tenant.id, None, refresh(db, self.tenant.slug).version)
        found = work(db)
        db.commit()
        return found

    def sql(self, statement: str, *values: Any) -> list[tuple[bytes | None, ...]]:
        """Rows of a statement; $1 is the tenant."""
        return self.within(lambda db: db.run([(statement, (self.tenant.id, *values))])[0])

    # -- people and clients ------------------------------------------------------------------------------------------

    def user(self, role: str = "practitioner", fhir_user: str = "Practitioner/dr") -> str:
        """A new user's id."""
        name = f"u{next(_numbers)}"
        self.sql(
            "INSERT INTO user_account (tenant_id, user_id, subject, email, role, fhir_user)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            name, secrets.token_hex(8), f"{name}@example.org", role, fhir_user,
        )  # fmt: skip
        return name

    def app(self, method: str = "none", client_id: str | None = None, **metadata: Any) -> App:
        """A new client for users: `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`."""
        given: dict[str, Any] = {
            "client_name": "App",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid fhirUser launch launch/patient offline_access online_access patient/*.cruds user/*.cruds",
            "token_endpoint_auth_method": method,
        }
        if method == "private_key_jwt":
            given["jwks"] = {"keys": [public(_EC)]}
        client, secret = self.within(
            lambda db: clients.register(db, self.tenant.id, {**given, **metadata}, client_id=client_id)
        )
        return App(client, secret, _EC if method == "private_key_jwt" else None, "ES384")

    def backend(self, alg: str = "RS384", key: RSAKey | ECKey | None = None, **metadata: Any) -> App:
        """A new back-end system."""
        used = key or (_RSA if alg[:2] in ("RS", "PS") else _EC)
        given: dict[str, Any] = {
            "client_name": "Backend",
            "grant_types": ["client_credentials"],
            "scope": "system/*.rs",
            "token_endpoint_auth_method": "private_key_jwt",
        }
        if "jwks_uri" not in metadata:
            given["jwks"] = {"keys": [public(used)]}
        client, _ = self.within(lambda db: clients.register(db, self.tenant.id, {**given, **metadata}))
        return App(client, None, used, alg)

    # -- grants, codes, tokens -----------------------------------------------------------------------------------------

    def grant(
        self,
        app: App,
        user: str,
        scope: str = "openid fhirUser launch/patient offline_access patient/*.rs",
        session_hash: bytes | None = None,
        nonce: str | None = "n-0",
        **context: Any,
    ) -> str:
        """What the consent page makes: a grant; gives its id."""
        return self.within(
            lambda db: grants.open_grant(
                db, self.tenant.id, client=app.client, user_id=user, session_hash=session_hash, scope=scope,
                context={"patient": "p1", **context}, purpose="TREAT", nonce=nonce, amr=["pwd", "otp"],
                auth_time=int(time.time()),
            )
        )  # fmt: skip

    def code(self, app: App, grant_id: str, verifier: str = VERIFIER, redirect_uri: str = REDIRECT) -> str:
        """An authorization code of a grant."""
        return self.within(
            lambda db: grants.issue_code(
                db, self.tenant.id, grant_id=grant_id, client_id=app.id, redirect_uri=redirect_uri,
                challenge=challenge(verifier),
            )
        )  # fmt: skip

    def new_code(self, app: App, scope: str = "openid fhirUser launch/patient offline_access patient/*.rs") -> str:
        """A code of a new grant of a new user."""
        return self.code(app, self.grant(app, self.user(), scope))

    def post(self, name: str, form: Mapping[str, str] | str, **headers: str) -> Answer:
        """A form to an endpoint."""
        body = form if isinstance(form, str) else urlencode(form)
        headers.setdefault("content_type", FORM)
        return request("POST", self.url(name), body, **headers)

    def call(self, app: App, name: str, form: Mapping[str, str], **headers: str) -> Answer:
        """A form to an endpoint by an authenticated client."""
        return self.post(name, {**app.proof(self), **form}, **{**app.headers(), **headers})

    def redeem(self, app: App, code: str, /, **form: str) -> Answer:
        """Redeem a code."""
        usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return self.call(app, "token", {**usual, **form})

    def refresh(self, app: App, token: str, /, **form: str) -> Answer:
        """Refresh."""
        return self.call(app, "token", {"grant_type": "refresh_token", "refresh_token": token, **form})

    def tokens(self, app: App, scope: str = "openid fhirUser launch/patient offline_access patient/*.rs") -> dict[str, Any]:
        """The token response of a new grant of a new user."""
        answer = self.redeem(app, self.new_code(app, scope))
        assert answer.status == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def system_token(self, app: App, scope: str = "system/*.rs", **claims: Any) -> Answer:
        """Client credentials."""
        form = {"grant_type": "client_credentials", "scope": scope, **app.proof(self, **claims)}
        return self.post("token", form)

    def is_live(self, token: str) -> bool:
        """Whether the FHIR side lets the token in."""
        answer = request("GET", f"{self.base}/Patient/nobody", authorization=f"Bearer {token}")
        assert answer.status in (401, 403, 404), answer.text
        return answer.status != 401


def public(key: RSAKey | ECKey) -> dict[str, Any]:
    """A key as it is registered."""
    key.ensure_kid()
    return {**key.as_dict(private=False), "kid": key.kid, "use": "sig"}


def error(answer: Answer) -> tuple[int, str]:
    """Status and error code; checks what every refusal must be."""
    assert answer.headers["Content-Type"].startswith("application/json"), answer.headers
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Pragma"] == "no-cache"
    found = json.loads(answer.body)
    assert set(found) <= {"error", "error_description"}
    return answer.status, found["error"]
