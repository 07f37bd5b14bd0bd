"""A room: a blueprint whose pages know their tenant, who is signed in, and what a refusal looks like."""

import gzip
from collections.abc import Collection

from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from fhir_server.authorization_server import browser
from fhir_server.authorization_server.browser import BadForm, NotSignedIn
from fhir_server.core.errors import FhirError, NotFound
from ui import page
from ui.fhir import Refused
from ui.texts import say

_READING = ("GET", "HEAD", "OPTIONS")
_ZIP_FROM = 1000
_ZIPPED = ("text/", "application/json", "application/fhir+json", "image/svg+xml", "application/manifest+json")


def room(
    name: str, roles: Collection[str] | None, *, at: str | None = None, part: str = "", largest: int | None = None
) -> Blueprint:
    """A blueprint at `/t/<slug>/ui/{name}` (or `at`) for people of these roles; None: for everybody, signed in or not.
    `part`: what tells several blueprints of one room apart; `largest`: bytes of a form, where files are sent.

    Its views begin with the parameter `slug`. A form without the session's token is refused before a view sees it; a
    role that has no business here is told that there is nothing.
    """
    path = name if at is None else at
    bp = Blueprint(f"ui-{name}{part and f'+{part}'}", __name__, url_prefix=f"/t/<slug>/ui/{path}".rstrip("/"))

    @bp.before_request
    def enter() -> ResponseReturnValue | None:
        slug = str((request.view_args or {}).get("slug", ""))
        browser.enter(slug)
        who = browser.signed_in(slug)
        if roles is not None:
            if who is None:
                return _sign_in(slug)
            if who.user.role not in roles:
                raise NotFound("There is no such page.")
        if request.method not in _READING:
            request.max_content_length = largest
            browser.check_csrf()
        return None

    bp.after_request(_zip)
    browser.guard(bp)
    bp.register_error_handler(Refused, _refused)
    bp.register_error_handler(BadForm, lambda error: page.problem(403, "form"))
    bp.register_error_handler(NotFound, lambda error: _missing())
    bp.register_error_handler(FhirError, lambda error: page.problem(error.status, "refused"))
    bp.register_error_handler(NotSignedIn, lambda error: browser.redirect(error.location))
    bp.register_error_handler(HTTPException, _failed)
    return bp


def _zip(response: Response) -> Response:
    """Compress text for who takes it. Pages carry a token for forms, and what an attacker could have repeated next to
    it (BREACH) is escaped words of the address at most; the token is of no use without the cookie (SameSite)."""
    accepted = "gzip" in request.headers.get("Accept-Encoding", "")
    if not accepted or response.direct_passthrough or "Content-Encoding" in response.headers:
        return response
    body = response.get_data()
    if len(body) >= _ZIP_FROM and (response.mimetype or "").startswith(_ZIPPED):
        response.set_data(gzip.compress(body, 4, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


def _sign_in(slug: str) -> Response:
    """To the sign-in page and back here; a fragment that htmx asked for sends the whole page there."""
    if request.headers.get("HX-Request"):
        shown = request.headers.get("HX-Current-URL", "").partition("//")[2].partition("/")[2]
        return page.hx_redirect(browser.login_url(slug, f"/{shown}"))
    here = request.full_path.rstrip("?") if request.method == "GET" else f"/t/{slug}/ui/"
    return browser.redirect(browser.login_url(slug, here))


def _refused(error: Refused) -> Response:
    if error.status == 401:
        return _sign_in(g.tenant.slug)
    if error.status in (404, 410):
        return page.problem(404, "missing")
    if request.headers.get("HX-Request"):
        # Nothing is swapped: what the person typed stays, and the sentence stands above the page.
        response = page.toast(Response(status=200), page.sentence(error), kind="danger")
        response.headers["HX-Reswap"] = "none"
        return response
    return page.problem(error.status, "refused", text=page.sentence(error))


def _missing() -> Response:
    """The same page whether the tenant, the thing or the right is missing."""
    return page.problem(404, "missing")


def _failed(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return page.problem(413, "refused", text=say("That is more than can be sent at once."))
    return page.problem(error.code or 500, "missing" if error.code == 404 else "refused")
