"""The board: the latest calls, and how many wait. It shows numbers to everybody and asks every second."""

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.errors import NotFound
from ui import page
from ui.fhir import Refused
from ui.room import room
from ui.waiting import device

bp = room("waiting", roles=None, at="board", part="board")
_FILES = ("board.js", "board.css", "announce.js", "asking.js")
# `spoken`, `spoken_desk`: read aloud by the browser; the marks are filled there.
WORDS = {
    "now": "Please come",
    "number": "Number",
    "desk": "Desk",
    "queues": "Waiting",
    "estimate": "Wait",
    "range": "{low} to {high} min",
    "range_soon": "less than {high} min",
    "open": "Open",
    "paused": "Break",
    "closed": "Closed",
    "nobody": "Nobody has been called yet.",
    "lost": "The connection is lost. This is how it was at",
    "sound": "Touch the screen once for sound",
    "spoken": "Number {number}, please come",
    "spoken_desk": "Number {number}, please come to {desk}",
    "desk_named": "desk {desk}",
}


@bp.get("/")
def board(slug: str) -> ResponseReturnValue:
    """The page. Its script does everything; without it there is nothing to see but where to ask."""
    asked = device.device_id("board")
    if asked is None:
        return browser.redirect(device.pairing(slug))
    try:
        shown = device.waiting_room(asked)
    except Refused as refused:
        return _gone(slug, refused)
    return page.page(
        "waiting/board.html",
        shown=shown,
        words=device.words(WORDS),
        version=device.version(WORDS, *_FILES),
        device=request.args.get("device", "")[:64],
    )


@bp.get("/now")
def now(slug: str) -> ResponseReturnValue:
    """What is shown now (JSON); of an unchanged `stamp` only that it is."""
    asked = device.device_id("board")
    if asked is None:
        return device.ended(slug)
    try:
        shown = device.waiting_room(asked, request.args.get("stamp", "")[:64])
    except Refused as refused:
        if refused.status in (401, 403, 404):
            return device.ended(slug)
        raise
    return jsonify({**shown, "version": device.version(WORDS, *_FILES)})


def _gone(slug: str, refused: Refused) -> Response:
    """A device that is out of use, or was deleted, is as good as one that is not paired."""
    if refused.status in (401, 403):
        return browser.redirect(device.pairing(slug))
    if refused.status == 404:
        raise NotFound("There is no such page.")
    raise refused
