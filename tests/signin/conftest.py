"""A browser for the pages of signing in: it keeps cookies, reads forms and posts them, without JavaScript."""

import email
import email.policy
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import create_environ, run_wsgi_app

from fhir_server.app import app
from fhir_server.rest.dispatch import session
from fhir_server.security import accounts, mailing
from fhir_server.security.oauth import grants
from fhir_server.security.oauth.clients import register
from fhir_server.settings import settings
from fhir_server.storage import access_tokens, tenants
from fhir_server.storage.accounts import Account
from tests.conftest import TestTenant

ORIGIN = "http://testserver"
PASSWORD = "rivage-lampe-ortie-42"


_hosts = itertools.count()


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self.title = ""
        self.alert = ""
        self.attributes: dict[str, str | None] = {}
        self._into = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.attributes = given
        elif tag == "form":
            self.found.append({"action": given.get("action", ""), "fields": {}, "form": given})
        elif tag in ("input", "select") and self.found and given.get("name"):
            self.found[-1]["fields"][given["name"]] = given.get("value") or ""
        self._into = "title" if tag == "title" else "alert" if given.get("role") == "alert" else self._into

    def handle_endtag(self, tag: str) -> None:
        if tag in ("title", "form"):
            self._into = ""

    def handle_data(self, data: str) -> None:
        if self._into == "title":
            self.title += data
        elif self._into == "alert":
            self.alert += data


@dataclass(slots=True)
class Page:
    """An answer as the browser sees it."""

    url: str
    status: int
    headers: Headers
    text: str
    parsed: _Forms = field(default_factory=_Forms)

    def __post_init__(self) -> None:
        if "html" in self.headers.get("Content-Type", ""):
            self.parsed.feed(self.text)

    @property
    def forms(self) -> list[dict[str, Any]]:
        """The forms in order: action and fields."""
        return self.parsed.found

    def form(self, part: str) -> dict[str, Any]:
        """The first form whose action contains `part`."""
        return next(form for form in self.forms if part in form["action"])


@dataclass(slots=True)
class Browser:
    """Follows redirects within the host only when told."""

    slug: str
    cookies: dict[str, str] = field(default_factory=dict)
    origin: str = ORIGIN
    headers: dict[str, str] = field(default_factory=dict)
    # An address of its own: attempts from one address are limited.
    address: str = field(default_factory=lambda: f"198.18.{next(_hosts) // 250}.{next(_hosts) % 250}")

    def request(self, method: str, url: str, data: dict[str, str] | None = None, **headers: str) -> Page:
        """One request. `url` may be relative to `/t/{slug}/oauth/`."""
        target = urlsplit(urljoin(f"{self.origin}/t/{self.slug}/oauth/", url))
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None if data is None else urlencode(data).encode()
        environ = create_environ(
            target.path, self.origin, query_string=target.query, method=method, data=body, headers=sent,
            content_type="application/x-www-form-urlencoded" if body is not None else None,
            environ_overrides={"REMOTE_ADDR": self.address},
        )  # fmt: skip
        parts, status, answer = run_wsgi_app(app, environ, buffered=True)
        for line in answer.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return Page(target.geturl(), int(status.split()[0]), answer, b"".join(parts).decode())

    def get(self, url: str, **headers: str) -> Page:
        """GET."""
        return self.request("GET", url, **headers)

    def follow(self, page: Page) -> Page:
        """The page at the end of the redirects."""
        while page.status == 303:
            page = self.get(page.headers["Location"])
        return page

    def submit(self, form: dict[str, Any], **values: str) -> Page:
        """Post a form with these values in its fields."""
        return self.request("POST", form["action"], {**form["fields"], **values})

    def sign_in(self, name: str, password: str = PASSWORD, query: str = "") -> Page:
        """Fill in the sign-in form; the answer to it."""
        page = self.get(f"login{query}")
        return self.submit(page.form("/login"), username=name, password=password)

    @property
    def session(self) -> str:
        """The value of the session cookie."""
        return next((value for name, value in self.cookies.items() if name.endswith(f"salam-{self.slug}")), "")


@dataclass(slots=True)
class Clinic:
    """A tenant with shortcuts into it."""

    tenant: TestTenant

    def browser(self, **given: Any) -> Browser:
        """A new browser without cookies."""
        return Browser(self.tenant.slug, **given)

    def enter(self) -> Any:
        """The database session, in the tenant."""
        db = session()
        state = tenants.find(db, self.tenant.slug)
        db.enter(state.tenant.id, None, state.registry_version)
        return db

    def person(self, who: str, role: str = "practitioner", password: str | None = PASSWORD, **given: Any) -> Account:
        """A new account `who@clinic.example`."""
        db = self.enter()
        made = accounts.create(
            db, self.tenant.id, email=f"{who}@clinic.example", role=role, password=password, **given
        )  # fmt: skip
        db.commit()
        return made

    def account(self, name: str) -> Account:
        """The account as it is now."""
        db = self.enter()
        found = accounts.find(db, self.tenant.id, f"{name}@clinic.example")
        db.commit()
        return found

    def sql(self, statement: str, *params: Any) -> list[tuple[bytes | None, ...]]:
        """Run a statement in the tenant ($1 is the tenant)."""
        rows: list[tuple[bytes | None, ...]] = self.enter().run([(statement, (self.tenant.id, *params))], final=True)[0]
        return rows

    def mails(self, to: str) -> list[str]:
        """Send what waits and give the texts that went to an address, oldest first."""
        mailing.send_due(self.enter(), self.tenant.id)
        found = []
        letters = [path for path in (Path(settings.data_dir) / "mail").glob("*.eml") if path.stem.isdigit()]
        for path in sorted(letters, key=lambda path: int(path.stem)):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if message["To"] == to:
                found.append(message.get_content())
        return found

    def code(self, to: str) -> str:
        """The six digits of the newest mail to an address."""
        found = re.search(r"\b(\d{6})\b", self.mails(to)[-1])
        assert found
        return found[1]

    def events(self) -> list[str]:
        """The names of the tenant's events so far, in order."""
        from fhir_server.security.audit import kinds

        names = {kind.number: kind.name for kind in kinds().values()}
        rows = self.sql("SELECT event FROM audit WHERE tenant_id = $1 ORDER BY seq")
        return [names[int(row[0] or b"0")] for row in rows]

    def app(self, person: Account, session_hash: bytes | None = None, scope: str = "user/Patient.rs") -> str:
        """An app with a grant and an access token of the person; the grant's id."""
        db = self.enter()
        made, _ = register(
            db, self.tenant.id,
            {"client_name": "Suivi", "redirect_uris": ["https://app.example/cb"], "scope": scope,
             "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]},
        )  # fmt: skip
        grant = grants.open_grant(
            db, self.tenant.id, client=made, user_id=person.id, session_hash=session_hash, scope=scope, context={},
            purpose="TREAT", nonce=None, amr=["pwd"], auth_time=1,
        )  # fmt: skip
        db.run(
            [
                access_tokens.save(
                    self.tenant.id, grants.digest(f"token of {grant}"), scope=scope, client_id=made.client_id, seconds=600,
                    token_id=grant, grant_id=grant, user_id=person.id,
                )
            ]
        )  # fmt: skip
        db.commit()
        return grant

    def live(self, grant: str) -> bool:
        """Whether a grant of `app` and its token still work."""
        db = self.enter()
        token = access_tokens.find(db, self.tenant.id, grants.digest(f"token of {grant}"))
        rows = self.sql("SELECT revoked_at IS NULL FROM oauth_grant WHERE tenant_id = $1 AND grant_id = $2", grant)
        assert (token is not None) == (rows[0][0] == b"t"), "a grant and its token end together"
        return token is not None


@pytest.fixture(scope="module")
def clinic(tenant: TestTenant) -> Clinic:
    """The module's tenant."""
    return Clinic(tenant)


@pytest.fixture
def new_clinic(new_tenant: Callable[[], TestTenant]) -> Clinic:
    """A tenant of the test's own."""
    return Clinic(new_tenant())


def query_of(location: str) -> dict[str, str]:
    """The query of an address."""
    return dict(parse_qsl(urlsplit(location).query))
