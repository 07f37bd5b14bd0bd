"""The SMART app Croissance (`growth/`): static files of no tenant, under a content security policy of their own."""

import re
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

bp = Blueprint("growth", __name__, url_prefix="/ui/apps/growth")

_FOLDER = Path(__file__).parent / "growth"
_NAME = re.compile(r"[a-z]+\.[a-z]+\Z")
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
          ".svg": "image/svg+xml"}  # fmt: skip
# `connect-src 'self'`: whatever address somebody makes the app start with, no code and no record leaves this site.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@bp.get("")
def without_slash() -> ResponseReturnValue:
    """The app, written short."""
    return redirect("/ui/apps/growth/", 308)


@bp.get("/")
@bp.get("/<name>")
def app_file(name: str = "index.html") -> Response:
    """A file of the app."""
    path = _FOLDER / name
    kind = _KINDS.get(path.suffix)
    if kind is None or not _NAME.match(name) or not path.is_file():
        return Response("", 404, _HEADERS)
    body = path.read_bytes()
    response = Response(body, headers=_HEADERS, content_type=f"{kind}; charset=utf-8")
    response.set_etag(sha256(body).hexdigest()[:16])
    response.make_conditional(request)
    return response
