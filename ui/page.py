"""Pages and their parts: rendering, headers, messages to the person, times at the clinic."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Response, g, request
from jinja2 import Environment, PrefixLoader, StrictUndefined, select_autoescape
from jinja2.loaders import ChoiceLoader, FileSystemLoader
from markupsafe import Markup

from fhir_server.authorization_server import browser, rendering
from fhir_server.authorization_server.browser import SignedIn
from fhir_server.core import clock
from fhir_server.core.context import Tenant
from fhir_server.security.roles import roles
from fhir_server.settings import settings
from ui import formats, texts
from ui.brand import brand_of
from ui.fhir import Refused
from ui.files import icon_svg, static, vendor
from ui.reasons import REASONS, STATUSES
from ui.texts import language, ngettext, say

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{attributes}; img-src 'self' data: blob:; font-src 'self';"
    " connect-src 'self' {hub}; manifest-src 'self'; worker-src 'self'; media-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-src {frames}; frame-ancestors {framed}"
)
_PROBLEMS = {
    "missing": ("There is no such page", "It may have been moved, or it is not for your account."),
    "form": ("The page was too old", "Go back, load it again, and repeat what you did. Nothing was changed."),
    "refused": ("That was not possible", ""),
    "again": ("Please try again", "The server is busy for a moment. Nothing was lost."),
}


# -- pages -------------------------------------------------------------------------------------------------------------


def page(
    template: str, *, status: int = 200, style_attributes: bool = False, framed: bool = False, **values: Any
) -> Response:
    """A whole page in the person's language. `style_attributes`: the page needs a library that writes style
    attributes; `framed`: it may stand in a frame of a page of this server."""
    response = Response(_render(template, values), status=status, content_type="text/html; charset=utf-8")
    response.headers["Content-Language"] = language()
    response.headers["Content-Security-Policy"] = _POLICY.format(
        attributes="; style-src-attr 'unsafe-inline'" if style_attributes else "",
        hub=hub_url(),
        frames="'self'" if style_attributes or framed else "'none'",
        framed="'self'" if framed else "'none'",
    )
    if framed:
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def part(template: str, *, status: int = 200, **values: Any) -> Response:
    """A fragment of a page, as htmx asks for it."""
    return Response(_render(template, values), status=status, content_type="text/html; charset=utf-8")


def problem(status: int, kind: str, text: str = "") -> Response:
    """The page that says what went wrong; for htmx, a message above the page it stands on."""
    title, explanation = _PROBLEMS[kind]
    if request.headers.get("HX-Request"):
        response = toast(Response(status=200), text or say(explanation) or say(title), kind="danger")
        response.headers["HX-Reswap"] = "none"
        return response
    tenant_known = "tenant" in g
    return page("problem.html", status=status, title=say(title), text=text or say(explanation), known=tenant_known)


def sentence(error: Refused) -> str:
    """What a refusal means, in the person's language."""
    known = REASONS.get(error.detail) or STATUSES.get(error.status)
    return say(known or "The server does not accept this.")


def toast(response: Response, text: str, *, undo: str | None = None, kind: str = "success") -> Response:
    """Have an answer to htmx show a message. `undo`: where a POST takes back what was done; `kind`: success, info,
    warning or danger."""
    said = {"text": text, "kind": kind, "undo": undo}
    earlier = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**earlier, "salam:toast": said})
    return response


def trigger(response: Response, event: str, detail: Mapping[str, Any] | None = None) -> Response:
    """Have an answer to htmx raise an event on the page."""
    earlier = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**earlier, event: dict(detail or {})})
    return response


def hx_redirect(url: str) -> Response:
    """Have htmx load another page."""
    return Response(status=200, headers={"HX-Redirect": url})


def see_other(url: str) -> Response:
    """After a form: to another page, whether a browser or htmx asked."""
    return hx_redirect(url) if is_htmx() else browser.redirect(url)


def is_htmx() -> bool:
    """Whether htmx asks, for a fragment."""
    return request.headers.get("HX-Request") == "true"


# -- who and where -----------------------------------------------------------------------------------------------------


def me() -> SignedIn:
    """The person who is signed in; only in rooms that need one."""
    found = visitor()
    if found is None:
        raise AssertionError("this page is for people who are signed in")
    return found


def visitor() -> SignedIn | None:
    """The person who is signed in, or None."""
    return browser.signed_in(g.tenant.slug)


def may(right: str) -> bool:
    """Whether the person's role has a right that is not about resources (`launch`, `break-glass`, `users`, …)."""
    found = visitor()
    return found is not None and right in roles()[found.user.role].may


def may_do(resource_type: str, letter: str) -> bool:
    """Whether the person's role has a right (c, r, u, d, s) to a type at all: for what to offer on a page. The server
    decides about each resource."""
    found = visitor()
    if found is None:
        return False
    rights = roles()[found.user.role].rights
    return any(right.type in ("*", resource_type) and letter in right.letters for right in rights)


def tenant() -> Tenant:
    """The tenant of this request."""
    found: Tenant = g.tenant
    return found


def zone() -> ZoneInfo:
    """The clinic's time zone."""
    return ZoneInfo(tenant().zone)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return clock.now()


def today() -> date:
    """The date at the clinic."""
    return now().astimezone(zone()).date()


def of_today() -> list[str]:
    """What a search asks of a date to find what is of today: from the clinic's midnight, and before the next one."""
    start = datetime.combine(today(), time(), zone())
    return [f"ge{start.isoformat()}", f"lt{(start + timedelta(days=1)).isoformat()}"]


def hub_url() -> str:
    """Scheme and host of the event hub, as this browser reaches it."""
    if settings.hub_url:
        return settings.hub_url
    if settings.public_url:
        return settings.public_url
    scheme, _, host = browser.origin().partition("://")
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return f"{scheme}://{name}:{settings.hub_port or settings.port + 1}"


# -- templates ---------------------------------------------------------------------------------------------------------


def _render(template: str, values: Mapping[str, Any]) -> str:
    known: Tenant | None = g.get("tenant")
    slug = known.slug if known else ""
    lang = language()
    return (
        environment()
        .get_template(template)
        .render(
            slug=slug,
            base=f"/t/{slug}/ui",
            language=lang,
            direction="rtl" if lang == "ar" else "ltr",
            languages=[(code, name, _with_language(code)) for code, name in rendering.LANGUAGES.items()],
            brand=brand_of(known),
            visitor=visitor() if known else None,
            room=texts.room(),
            **values,
        )
    )


def _with_language(code: str) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("lang", "ui_locales")]
    return f"?{urlencode([*kept, ('lang', code)])}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates: those of a room below its name, those of all rooms without one."""
    shared = FileSystemLoader(texts.FOLDER / "templates")
    folders = {path.parent.name: path for path in sorted(texts.FOLDER.glob("*/templates"))}
    rooms = PrefixLoader({name: FileSystemLoader(path / name) for name, path in folders.items()})
    made = Environment(
        loader=ChoiceLoader([shared, rooms]),
        autoescape=select_autoescape(("html",), default=True),
        undefined=StrictUndefined,
        # Filters speak the language of the request, so nothing of theirs is worked out when a template is compiled.
        optimized=False,
        # A look at every file for every page would cost more than the page.
        auto_reload=settings.log_level == "debug",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    from ui.navigation import home_of, rooms_of

    made.globals |= {
        "_": say, "ngettext": ngettext, "static": static, "vendor": vendor, "may": may, "may_do": may_do,
        "icon_svg": lambda name: Markup(icon_svg(name)), "rooms_of": rooms_of, "home_of": home_of, "now": now,
        "today": today, "zone": zone, "hub_url": hub_url, "csrf_token": browser.csrf_token,
    }  # fmt: skip
    made.filters |= formats.FILTERS
    made.globals |= formats.FILTERS
    made.globals["parts"] = made.get_template("parts.html").module
    return made
