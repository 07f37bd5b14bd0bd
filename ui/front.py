"""What belongs to no room: the way in, the tickets for live pages, colours and logo of the clinic."""

from flask import Response, g, jsonify, redirect
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.brand import brand_of, stylesheet
from ui.navigation import home_of
from ui.room import room

bp = room("front", roles=None, at="")
_KEPT = "public, max-age=300"
_IMAGE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@bp.get("")
def without_slash(slug: str) -> ResponseReturnValue:
    """The way in, written short."""
    return redirect(f"/t/{slug}/ui/", 302)


@bp.get("/")
def home(slug: str) -> ResponseReturnValue:
    """To the first page of who is signed in; visitors find what they may do without an account."""
    who = page.visitor()
    if who is None:
        return page.page("welcome.html")
    path = home_of(who.user.role)
    return browser.redirect(f"/t/{slug}/ui/{path}" if path else f"/t/{slug}/oauth/account")


@bp.get("/<path:rest>")
def nowhere(slug: str, rest: str) -> ResponseReturnValue:
    """What stands at no other address."""
    raise NotFound("There is no such page.")


@bp.post("/live")
def live(slug: str) -> ResponseReturnValue:
    """A ticket for the event stream, and where the stream is (JSON)."""
    if page.visitor() is None:
        raise NotFound("There is no such page.")
    answer = fhir.call("$event-ticket")
    ticket = next(each["valueString"] for each in answer["parameter"] if each["name"] == "ticket")
    return jsonify(ticket=ticket, hub=page.hub_url(), path=f"/t/{slug}/events")


@bp.get("/theme.css")
def theme(slug: str) -> Response:
    """The clinic's colours."""
    return Response(stylesheet(brand_of(g.tenant)), headers={"Cache-Control": _KEPT}, content_type="text/css")


@bp.get("/logo.svg")
def logo(slug: str) -> Response:
    """The clinic's logo."""
    text = brand_of(g.tenant).logo
    if not text:
        raise NotFound("There is no such page.")
    headers = {"Cache-Control": _KEPT, "Content-Security-Policy": _IMAGE}
    return Response(text, headers=headers, content_type="image/svg+xml")
