"""A browser for tests: keeps cookies, follows our own redirects, reads and sends forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from werkzeug.test import Client as WsgiClient

from fhir_server.app import app
from tests.client import ORIGIN


@dataclass(slots=True)
class Form:
    """A form of a page. `boxes`: (name, value) that are ticked; `buttons`: (name, value)."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values of boxes with a name."""
        return [value for key, value in self.boxes if key == name]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get")))
        if not self.found or "name" not in given:
            return
        pair = (given["name"], given.get("value", ""))
        if tag == "button":
            self.found[-1].buttons.append(pair)
        elif tag == "input" and given.get("type") == "checkbox":
            if "checked" in given:
                self.found[-1].boxes.append(pair)
        elif tag == "input":
            self.found[-1].fields.append(pair)


@dataclass(slots=True)
class Page:
    """Where the browser stands. `left`: the URL elsewhere that we sent it to, if so."""

    url: str
    status: int
    headers: Any
    text: str
    left: str | None = None

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        parser = _Forms()
        parser.feed(self.text)
        return parser.found

    def form(self, button: str) -> Form:
        """The form that has a button or field of this name."""
        return next(each for each in self.forms if button in [name for name, _ in (*each.buttons, *each.fields)])

    @property
    def answer(self) -> dict[str, str]:
        """The parameters that the app gets."""
        assert self.left is not None, f"{self.status} {self.url}\n{self.text[:3000]}"
        return {name: values[0] for name, values in parse_qs(urlsplit(self.left).query).items()}


class Surfer:
    """A person's browser at one tenant."""

    def __init__(self, slug: str, origin: str = ORIGIN) -> None:
        self.slug = slug
        self.origin = origin
        self.wsgi = WsgiClient(app)

    def go(self, url: str, form: list[tuple[str, str]] | str | None = None, *, follow: bool = True, **headers: str) -> Page:
        """Open a URL (of ours, absolute or not), by POST when there is a form."""
        method = "GET" if form is None else "POST"
        for _ in range(12):
            url = urljoin(self.origin, url)
            parts = urlsplit(url)
            if f"{parts.scheme}://{parts.netloc}" != self.origin:
                return Page(url, 0, {}, "", left=url)
            body = form if isinstance(form, str) else urlencode(form or [])
            response = self.wsgi.open(
                parts.path,
                method=method,
                base_url=self.origin,
                query_string=parts.query,
                data=body if method == "POST" else None,
                content_type="application/x-www-form-urlencoded" if method == "POST" else None,
                headers=[(name.replace("_", "-"), value) for name, value in headers.items()],
            )
            if response.status_code not in (301, 302, 303, 307, 308) or not follow:
                return Page(url, response.status_code, response.headers, response.text)
            assert response.status_code == 303
            url, method, form = urljoin(url, response.headers["Location"]), "GET", None
        raise AssertionError("too many redirects")

    def press(self, page: Page, name: str, value: str | None = None, **filled: str) -> Page:
        """Press a button of a page's form, with fields filled in."""
        form = page.form(name)
        fields = [(key, filled.get(key, given)) for key, given in form.fields] + form.boxes
        fields += [(name, value)] if value is not None else [next(each for each in form.buttons if each[0] == name)]
        return self.go(form.action, fields)

    def sign_in(self, page: Page, email: str, password: str) -> Page:
        """Fill in the sign-in form that a page is."""
        form = page.form("username")
        filled = {"username": email, "password": password}
        action = form.action or page.url
        return self.go(urljoin(page.url, action), [(key, filled.get(key, given)) for key, given in form.fields])
