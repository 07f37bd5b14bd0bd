"""The design system: each part with its code, and all of them in both directions and appearances.

At `/t/{slug}/ui/styles/` in the clinic's colours, at `/ui/styles/` in Salam's own.
"""

from pathlib import Path

from flask import Blueprint, g, redirect, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import rendering
from ui.page import page
from ui.room import room
from ui.styles.tokens import pairs

bp = room("styles", roles=None)
open_bp = Blueprint("ui-styles+open", __name__, url_prefix="/ui/styles")
BLUEPRINTS = (bp, open_bp)

_PARTS = Path(__file__).parent / "templates" / "styles" / "parts"
SAMPLES = (
    ("buttons", "Buttons"), ("fields", "Fields"), ("choices", "Choices"), ("alerts", "Messages on the page"),
    ("badges", "States"), ("table", "Table"), ("panels", "Panels and tiles"), ("slots", "Free times"),
    ("states", "Empty, loading, offline"), ("dialog", "Dialog"), ("undo", "Messages after an action"),
    ("numbers", "Numbers, names and days"),
)  # fmt: skip
_FRAMES = (
    ("fr", "light", "French, light"), ("ar", "light", "Arabic, light"),
    ("fr", "dark", "French, dark"), ("ar", "dark", "Arabic, dark"),
)  # fmt: skip


@bp.get("/")
def styles(slug: str) -> ResponseReturnValue:
    """The catalogue in the clinic's colours."""
    return _catalogue(f"/t/{slug}/ui/styles/sample")


@bp.get("/sample")
def sample(slug: str) -> ResponseReturnValue:
    """All parts, to stand in a frame. `ui_locales`, `theme`: language and appearance, which are not remembered."""
    return page("styles/sample.html", framed=True, samples=SAMPLES)


@open_bp.before_request
def speak() -> None:
    """The language of the browser, or the one in the address."""
    asked = [request.args.get("lang", ""), request.args.get("ui_locales", "")]
    g.ui_language = rendering.first_known([*asked, *(value for value, _ in request.accept_languages)]) or "fr"


@open_bp.get("")
def without_slash() -> ResponseReturnValue:
    """The catalogue, written short."""
    return redirect("/ui/styles/", 308)


@open_bp.get("/")
def open_styles() -> ResponseReturnValue:
    """The catalogue in Salam's own colours."""
    return _catalogue("/ui/styles/sample")


@open_bp.get("/sample")
def open_sample() -> ResponseReturnValue:
    """All parts, to stand in a frame."""
    return page("styles/sample.html", framed=True, samples=SAMPLES)


def _catalogue(frame: str) -> ResponseReturnValue:
    sources = {each: (_PARTS / f"{each}.html").read_text(encoding="utf-8").strip() for each, _ in SAMPLES}
    return page(
        "styles/catalogue.html", framed=True, samples=SAMPLES, sources=sources, frames=_FRAMES, pairs=pairs(),
        sample=frame,
    )  # fmt: skip
