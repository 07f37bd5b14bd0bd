"""Static files: their addresses change with their content, so that browsers may keep them for good.

`/ui/static/{name}` is of all rooms, `/ui/static/{room}/{name}` of one, `/ui/static/vendor/{name}` of libraries that
`ui/vendor.py` placed. Text is kept compressed in memory.
"""

import gzip
import mimetypes
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, request

bp = Blueprint("ui-static", __name__)

_FOLDER = Path(__file__).parent
VENDOR = _FOLDER / "static" / "vendor"
_NAME = re.compile(r"(?:[a-z0-9-]+/)*[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_TEXT = ("text/css", "text/javascript", "image/svg+xml", "text/html", "application/json", "application/manifest+json")


@dataclass(frozen=True, slots=True)
class File:
    """A static file with what its answers need."""

    body: bytes
    zipped: bytes | None
    type: str
    version: str


@bp.get("/ui/static/<path:name>")
def static_file(name: str) -> Response:
    """A file; for ever if the address has its version, else to be asked for again."""
    path = _path(name)
    if path is None:
        return Response(status=404)
    file = _file(path, path.stat().st_mtime_ns)
    headers = {"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    known = request.args.get("v") == file.version
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if known else "no-cache"
    body = file.body
    if file.zipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = file.zipped, "gzip"
    response = Response(body, headers=headers, content_type=file.type)
    response.set_etag(file.version)
    response.make_conditional(request)
    return response


def static(name: str) -> str:
    """The address of a static file."""
    path = _path(name)
    if path is None:
        raise FileNotFoundError(f"there is no static file {name}")
    return f"/ui/static/{name}?v={_file(path, path.stat().st_mtime_ns).version}"


def vendor(name: str) -> str:
    """The address of a library's file."""
    return static(f"vendor/{name}")


@lru_cache(maxsize=2048)
def icon_svg(name: str) -> str:
    """A Bootstrap icon as SVG, hidden from screen readers: words say what it shows."""
    text = (VENDOR / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    inner = text.partition(">")[2].rpartition("</svg>")[0]
    box = '<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="currentColor" aria-hidden="true">'
    return f"{box}{''.join(inner.splitlines())}</svg>"


def _path(name: str) -> Path | None:
    if not _NAME.match(name):
        return None
    room, _, rest = name.partition("/")
    own = _FOLDER / room / "static" / rest
    path = own if rest and room != "vendor" and own.is_file() else _FOLDER / "static" / name
    return path if path.is_file() else None


@lru_cache(maxsize=512)
def _file(path: Path, changed: int) -> File:
    body = path.read_bytes()
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    kind = "application/manifest+json" if path.suffix == ".webmanifest" else kind or "application/octet-stream"
    zipped = gzip.compress(body, 9, mtime=0) if kind in _TEXT else None
    content_type = f"{kind}; charset=utf-8" if kind in _TEXT else kind
    return File(body, zipped, content_type, sha256(body).hexdigest()[:12])
