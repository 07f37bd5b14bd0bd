"""What every page for people shares: who is signed in, cookies, the token in forms, languages, headers, rendering.

A blueprint with pages calls `guard(bp)` once; its views begin with `enter(slug)`.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from flask import Blueprint, Response, g, request

from fhir_server.authorization_server import rendering
from fhir_server.core.context import Tenant, User
from fhir_server.core.errors import FhirError, Invalid, NotFound, Throttled
from fhir_server.rest import dispatch
from fhir_server.security import guests, own_pages, proxies, web_sessions
from fhir_server.storage import tenants
from fhir_server.storage.errors import DefinitionsChanged
from fhir_server.storage.session import Session
from fhir_server.storage.web_sessions import WebSession

_YEAR = 365 * 86400
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


class BadForm(Exception):
    """A form came without the token of its session: a stale page, or another site's doing."""


class NotSignedIn(Exception):
    """The page needs somebody who is signed in, or who signed in lately. Holds where to go instead."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person at the browser. `auth_time`: when they last proved who they are (seconds since 1970); `amr`: how (RFC
    8176: pwd, otp, mfa, hwk, user); `csrf_token`: what their forms carry."""

    user: User
    name: str
    email: str
    language: str
    session_hash: bytes
    auth_time: int
    amr: tuple[str, ...]
    csrf_token: str


# -- the place ---------------------------------------------------------------------------------------------------------


def enter(slug: str) -> tuple[Session, Tenant]:
    """This thread's session, entered into the tenant. Raises `NotFound` for one that is not there or suspended."""
    db = dispatch.session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    g.tenant = state.tenant
    return db, state.tenant


def origin() -> str:
    """Scheme and host as the browser sees them."""
    return proxies.origin(request.environ)


def address() -> str:
    """The browser's address, as far as the proxies can be trusted."""
    return proxies.client_address(request.environ)


def device() -> str:
    """The browser in a few words, for the list of sessions: `Firefox · Linux`."""
    return rendering.device(request.headers.get("User-Agent", ""))


# -- the person --------------------------------------------------------------------------------------------------------


def signed_in(slug: str) -> SignedIn | None:
    """Who is signed in at this tenant, or None. Runs in a transaction of its own, once for each request."""
    found = session(slug)
    if found is None or found.pending:
        return None
    return SignedIn(
        found.user, found.name, found.email, found.language, found.hash, found.auth_time, found.amr, csrf_token()
    )


def session(slug: str) -> WebSession | None:
    """The browser's session at this tenant, also one that still waits for a second proof."""
    if "session" not in g:
        db, tenant = enter(slug)
        g.session = web_sessions.find(db, tenant.id, _cookie())
    found: WebSession | None = g.session
    return found


def bearer(slug: str) -> str:
    """The access token with which the pages act for the person who is signed in here."""
    return own_pages.token_of(_cookie())


def admit_bearer(slug: str) -> bool:
    """Make the token of `bearer` good; whether somebody is signed in whose it is."""
    found = session(slug)
    if found is None or found.pending:
        return False
    db, tenant = enter(slug)
    own_pages.admit(db, tenant.id, _cookie(), found)
    return True


def guest_bearer(slug: str, *, holding: bool) -> str:
    """The access token of a visitor without an account. `holding`: this browser's own, which may hold a time (the
    browser gets a cookie), else the one of all visitors, who may only look."""
    db, tenant = enter(slug)
    if holding:
        return guests.guest_token(db, tenant, holder(), address())
    return guests.visitor_token(db, tenant, address())


def login_url(slug: str, return_to: str, *, fresh: bool = False) -> str:
    """Where to sign in and come back to `return_to` (see `safe_return`).

    `fresh`: ask for the password even of somebody who is signed in (prompt=login, max_age); the new `auth_time` tells
    that it was done.
    """
    query = {"return_to": safe_return(slug, return_to)}
    if fresh:
        query["fresh"] = "1"
    if language := request.args.get("ui_locales"):
        query["ui_locales"] = language
    return f"/t/{slug}/oauth/login?{urlencode(query)}"


def safe_return(slug: str, path: str) -> str:
    """The path if it leads to a page of this tenant on this host, else the account page."""
    home = f"/t/{slug}/oauth/"
    homes = (home, f"/t/{slug}/ui/")
    plain = unquote(path)
    if len(path) > 8000 or not plain.isprintable() or "\\" in plain:
        return f"{home}account"
    try:
        parts = urlsplit(path)
    except ValueError:
        return f"{home}account"
    steps = unquote(parts.path).split("/")
    if parts.scheme or parts.netloc or not parts.path.startswith(homes) or ".." in steps or "." in steps:
        return f"{home}account"
    return path


# -- cookies and forms -------------------------------------------------------------------------------------------------


def csrf_token() -> str:
    """The token for this browser's forms; a browser without a cookie gets one along with the answer."""
    if not web_sessions.is_id(_cookie()):
        take_session(web_sessions.new_id())
    return web_sessions.csrf_token(_cookie())


def check_csrf() -> None:
    """Raise `BadForm` unless the posted form (field `csrf`) or the header `X-CSRF` carries this session's token."""
    given = request.headers.get("X-CSRF") or request.form.get("csrf", "")
    known = _cookie()
    expected = web_sessions.csrf_token(known) if web_sessions.is_id(known) else ""
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise BadForm


def take_session(session_id: str, seconds: int | None = None) -> None:
    """Make the browser hold this session id from the next answer on: for so many seconds, or until it is closed."""
    g.cookie, g.cookie_seconds = session_id, seconds
    g.pop("session", None)


def holder() -> bytes:
    """What one-time challenges for this browser are bound to: the digest of its session id, signed in or not."""
    csrf_token()
    return web_sessions.digest(_cookie())


def redirect(location: str) -> Response:
    """303: after a form, fetch another page. RFC 9700 section 4.12"""
    return Response(status=303, headers={"Location": location})


def _cookie() -> str:
    return str(g.get("cookie") or request.cookies.get(_cookie_name(), ""))


def _cookie_name() -> str:
    slug = (request.view_args or {}).get("slug", "")
    return f"__Host-salam-{slug}" if _secure() else f"salam-{slug}"


def _language_cookie() -> str:
    return "__Host-salam-lang" if _secure() else "salam-lang"


def _secure() -> bool:
    try:
        return origin().startswith("https://")
    except Invalid:
        return False


# -- answers -----------------------------------------------------------------------------------------------------------


def page(template: str, *, status: int = 200, leads_to: Sequence[str] = (), **values: Any) -> Response:
    """A page in the person's language. In templates: `_()`, `language`, `direction`, `languages`, `tenant_name`,
    `slug`, `csrf` (the token), `here` (this address, for forms that come back to it), `asset()`, `when()`, `me`
    (SignedIn or None) and the `values`.

    `leads_to`: where a form on the page may end, by redirects, besides here: origins or schemes of apps. Browsers hold
    redirects after a form to `form-action`, too.
    """
    tenant: Tenant | None = g.get("tenant")
    slug = tenant.slug if tenant else ""
    chosen = _language(tenant)
    if "me" not in values:
        values["me"] = signed_in(slug) if tenant else None
    body = rendering.render(
        template,
        chosen,
        tenant.zone if tenant else "UTC",
        slug=slug,
        tenant_name=tenant.name if tenant else "",
        csrf=csrf_token() if tenant else "",
        here=_here([(name, value) for name, value in request.args.items(multi=True) if name != "lang"]),
        languages=[(code, name, _with_language(code)) for code, name in rendering.LANGUAGES.items()],
        **values,
    )
    response = Response(body, status=status, content_type="text/html; charset=utf-8")
    response.headers["Content-Language"] = chosen
    # A policy cannot name an IPv6 address.
    sources = [f"{each.partition(':')[0]}:" if "[" in each else each for each in leads_to]
    allowed = " ".join(dict.fromkeys(["'self'", *sources]))
    response.headers["Content-Security-Policy"] = f"{_POLICY}; form-action {allowed}"
    return response


def language(slug: str) -> str:
    """The language that pages speak to this browser."""
    _, tenant = enter(slug) if "tenant" not in g else (None, g.tenant)
    return _language(tenant)


def remember_language(code: str) -> None:
    """Speak this language to the browser from now on; "" changes nothing."""
    if code:
        g.language_cookie = code


def _language(tenant: Tenant | None) -> str:
    asked = request.args.get("lang") or request.args.get("ui_locales", "")
    given = rendering.first_known(asked.replace(",", " ").split())
    if given and request.args.get("lang"):
        g.language_cookie = given
    known: WebSession | None = g.get("session")
    wanted = [request.cookies.get(_language_cookie(), ""), known.language if known else ""]
    wanted += [value for value, _ in request.accept_languages]
    return given or rendering.first_known([*wanted, tenant.language if tenant else ""]) or "fr"


def _with_language(code: str) -> str:
    # After a POST the page's own address may not take a GET: views that answer a POST with a form share its path.
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("lang", "ui_locales")]
    return _here([*kept, ("lang", code)])


def _here(query: list[tuple[str, str]]) -> str:
    return f"{request.path}?{urlencode(query)}" if query else request.path


# -- for blueprints ----------------------------------------------------------------------------------------------------


def guard(bp: Blueprint) -> None:
    """Give every answer of a blueprint the security headers and cookies, and every refusal a page."""
    bp.after_request(_finish)
    bp.register_error_handler(NotSignedIn, lambda error: redirect(error.location))
    bp.register_error_handler(BadForm, lambda error: _problem(403, "form"))
    bp.register_error_handler(NotFound, lambda error: not_found())
    bp.register_error_handler(Throttled, _throttled)
    bp.register_error_handler(DefinitionsChanged, lambda error: _problem(503, "again"))
    bp.register_error_handler(FhirError, lambda error: _problem(error.status, "refused"))


def not_found() -> Response:
    """The page for a tenant or thing that does not exist for this browser."""
    # Whatever a request knew of a tenant: the page for one that does not exist and for a suspended one is the same.
    g.pop("tenant", None)
    return _problem(404, "missing")


def _throttled(error: Throttled) -> Response:
    response = _problem(429, "throttled")
    response.headers.extend(error.headers)
    return response


def _problem(status: int, kind: str) -> Response:
    dispatch.session().rollback()
    return page("problem.html", status=status, kind=kind, me=None)


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _POLICY)
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Frame-Options", "DENY")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    if _secure():
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
    if "cookie" in g:
        _keep(response, _cookie_name(), g.cookie, g.get("cookie_seconds"))
    if "language_cookie" in g:
        _keep(response, _language_cookie(), g.language_cookie, _YEAR)
    return response


def _keep(response: Response, name: str, value: str, seconds: int | None) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=_secure(), httponly=True, samesite="Lax")
