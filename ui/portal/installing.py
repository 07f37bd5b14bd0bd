"""What makes the patient's pages an app that can be installed: manifest, icons, service worker, page without network.

All of it is public and the same for everybody at a clinic: it says nothing of any patient.
"""

import re
from hashlib import sha256

from flask import Response, g, jsonify
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import page
from ui.brand import brand_of
from ui.files import static
from ui.portal import app_icon
from ui.room import room
from ui.texts import FOLDER, language, say

bp = room("portal", roles=None, at="", part="app")
_KEPT = {"Cache-Control": "public, max-age=86400"}
_SHELL = ("theme.js", "portal/offline.css", "portal/offline.js")
_WORKER = FOLDER / "portal" / "static" / "worker.js"


@bp.get("/manifest.webmanifest")
def manifest(slug: str) -> ResponseReturnValue:
    """The app as the clinic's own: its name and colours, and nothing beyond its pages."""
    brand, home = brand_of(g.tenant), f"/t/{slug}/ui/"
    icons = [{"src": f"{home}icon-{size}{'-whole' if whole else ''}.png", "sizes": f"{size}x{size}",
              "type": "image/png", "purpose": "maskable" if whole else "any"}
             for size in (192, 512) for whole in (False, True)]  # fmt: skip
    response = jsonify({
        "id": home, "name": brand.name, "short_name": brand.name[:24], "lang": language(),
        "dir": "rtl" if language() == "ar" else "ltr", "start_url": f"{home}portal/", "scope": home,
        "display": "standalone", "background_color": "#f4f6f7", "theme_color": brand.accent, "icons": icons,
        "categories": ["health", "medical"],
        "shortcuts": [
            {"name": say("Appointments"), "url": f"{home}portal/visits"},
            {"name": say("Results"), "url": f"{home}portal/results"},
        ],
    })  # fmt: skip
    response.headers["Content-Type"] = "application/manifest+json"
    response.headers["Cache-Control"] = "no-cache"
    return response


@bp.get("/icon-<int:size>.png")
def icon(slug: str, size: int) -> ResponseReturnValue:
    """The icon with round corners."""
    return _icon(size, whole=False)


@bp.get("/icon-<int:size>-whole.png")
def whole_icon(slug: str, size: int) -> ResponseReturnValue:
    """The icon from edge to edge."""
    return _icon(size, whole=True)


def _icon(size: int, *, whole: bool) -> Response:
    colour = brand_of(g.tenant).accent
    if size not in app_icon.SIZES or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise NotFound("There is no such page.")
    return Response(app_icon.png(size, colour.lower(), whole=whole), headers=_KEPT, content_type="image/png")


@bp.get("/sw.js")
def worker(slug: str) -> ResponseReturnValue:
    """The service worker of this clinic's pages. It changes when something of what it keeps does."""
    shell = [static(name) for name in _SHELL]
    text = _WORKER.read_text(encoding="utf-8")
    version = sha256("".join([text, *shell]).encode()).hexdigest()[:12]
    lists = ",".join(f'"{each}"' for each in shell)
    body = f'const SLUG="{slug}",VERSION="{version}",SHELL=[{lists}];\n{text}'
    response = Response(body, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(version)
    return response


@bp.get("/offline")
def offline(slug: str) -> ResponseReturnValue:
    """What is shown where there is no network: the next appointment, if this phone keeps it."""
    response = page.page("portal/offline.html")
    response.headers["Cache-Control"] = "no-cache"
    return response
