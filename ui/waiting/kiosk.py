"""The kiosk: somebody who comes in takes a ticket, or says that he is there for his appointment."""

import segno
from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.fhir import Refused
from ui.room import room
from ui.waiting import device

bp = room("waiting", roles=None, at="kiosk", part="kiosk")
_FILES = ("kiosk.js", "kiosk.css", "scanner.js", "asking.js")
_LONGEST = 200
# The marks are filled by the page.
WORDS = {
    "welcome": "Welcome",
    "touch": "Touch here to go on",
    "what": "What brings you here?",
    "booked": "I have an appointment",
    "booked_hint": "With the code on your phone, or with your phone number",
    "unbooked": "I have no appointment",
    "unbooked_hint": "Take a ticket",
    "scan": "Hold your code in front of the camera",
    "scan_hint": "The square code of your appointment or ticket, on your phone or on paper",
    "scan_wedge": "Hold your code under the reader",
    "by_phone": "With my phone number",
    "phone": "Your phone number",
    "phone_hint": "The number that you gave when you booked",
    "birth": "Your date of birth",
    "birth_hint": "Day, month, year",
    "birth_wrong": "This date does not exist. Please check it.",
    "day": "Day",
    "month": "Month",
    "year": "Year",
    "erase": "Erase",
    "go_on": "Go on",
    "back": "Back",
    "start_again": "Start again",
    "which": "Where do you want to go?",
    "waiting": "Waiting: {count}",
    "range": "Wait: {low} to {high} min",
    "range_soon": "Wait: less than {high} min",
    "paused": "Short break: tickets are given",
    "no_queue": "No tickets are given now. Please go to the reception.",
    "moment": "One moment…",
    "your_number": "Your number",
    "follow": "Follow your turn on your phone",
    "follow_hint": "Point your phone's camera at the square code",
    "look": "Please take a seat. Your number will appear on the screen.",
    "position": "Before you: {count}",
    "next": "You are next.",
    "called": "You have been called: please go in.",
    "called_desk": "You have been called. Please go to: {desk}",
    "over": "This visit is over. Please ask at the reception.",
    "print": "Print",
    "done": "Done",
    "early": "You are early",
    "early_hint": "Please come back here from {time} on. Your place is kept.",
    "unknown": "We did not find you",
    "unknown_hint": "Please check what you entered, or go to the reception: they will find you.",
    "again": "Try again",
    "closed": "This queue gives no tickets now. Please go to the reception.",
    "full": "This queue is full. Please go to the reception.",
    "often": "There were too many attempts. Please go to the reception.",
    "failed": "That did not work. Please go to the reception.",
    "offline": "Please go to the reception",
    "offline_hint": "This kiosk has no connection just now. It starts again by itself.",
    "still": "Are you still there?",
    "still_hint": "The kiosk starts again in {count} seconds.",
    "yes": "Yes, I am here",
    "printed_at": "Taken at {time}",
}
# What a refusal means to somebody at the kiosk: a key of WORDS by detail code, or by status.
_MEANS = {"unknown-visitor": "unknown", "queue-closed": "closed", "queue-full": "full"}
_STATUS = {429: "often"}


@bp.get("/")
def kiosk(slug: str) -> ResponseReturnValue:
    """The page. Its script does everything, in every language, without loading another page."""
    asked = device.device_id("kiosk")
    if asked is None:
        return browser.redirect(device.pairing(slug))
    try:
        shown = device.waiting_room(asked)
    except Refused as refused:
        if refused.status == 404:
            raise NotFound("There is no such page.") from None
        if refused.status not in (401, 403):
            raise
        return browser.redirect(device.pairing(slug))
    return page.page(
        "waiting/kiosk.html",
        shown=shown,
        words=device.words(WORDS),
        version=device.version(WORDS, *_FILES),
        device=request.args.get("device", "")[:64],
        greetings=[("fr", "Français"), ("ar", "العربية"), ("en", "English"), ("es", "Español")],
    )


@bp.get("/now")
def now(slug: str) -> ResponseReturnValue:
    """The queues as they are now (JSON)."""
    asked = device.device_id("kiosk")
    if asked is None:
        return device.ended(slug)
    try:
        shown = device.waiting_room(asked, request.args.get("stamp", "")[:64])
    except Refused as refused:
        if refused.status in (401, 403, 404):
            return device.ended(slug)
        raise
    # A kiosk shows no calls: nothing stands in its memory that it does not need.
    shown.pop("calls", None)
    return jsonify({**shown, "version": device.version(WORDS, *_FILES)})


@bp.post("/ticket")
def ticket(slug: str) -> ResponseReturnValue:
    """A ticket (JSON): `queue`, or `code`, or `phone` and `birthDate`; `language`; `key`, with which a second tap gives
    the same one. Answers with the slip and its QR code, or with `problem`: a key of the words."""
    asked = device.device_id("kiosk")
    if asked is None:
        return device.ended(slug)
    said = request.get_json(silent=True)
    if not isinstance(said, dict) or not all(isinstance(each, str) for each in said.values()):
        return _problem("failed", 400)
    try:
        answer = fhir.call(f"Device/{asked}/$self-check-in", _parameters(said), key=said.get("key", "")[:80] or None)
    except Refused as refused:
        if refused.status == 401:
            return device.ended(slug)
        return _problem(_MEANS.get(refused.detail) or _STATUS.get(refused.status, "failed"), refused.status)
    slip = device.values(answer["parameter"])
    if "url" in slip:
        slip["qr"] = qr(slip["url"])
    return jsonify(slip)


def qr(text: str) -> str:
    """A QR code as the address of an image."""
    code = segno.make(text, micro=False, error="m")
    return str(code.svg_data_uri(border=2, dark="#000", light="#fff", scale=8))


def _parameters(said: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name in ("code", "phone"):
        if said.get(name):
            found.append({"name": name, "valueString": said[name][:_LONGEST]})
    if said.get("birthDate"):
        found.append({"name": "birthDate", "valueDate": said["birthDate"][:10]})
    if said.get("queue"):
        found.append({"name": "queue", "valueReference": {"reference": said["queue"][:_LONGEST]}})
    if said.get("language"):
        found.append({"name": "language", "valueCode": said["language"][:8]})
    return found


def _problem(kind: str, status: int) -> Response:
    response = jsonify(problem=kind)
    response.status_code = status
    return response
