"""Where a screen or a kiosk becomes a device of the clinic: a code that the manager was given is typed, or its link is
opened, in the browser of the device."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.security import audit, devices, throttle
from fhir_server.security.audit_events import SERIOUS

bp = Blueprint("devices", __name__)
browser.guard(bp)

_LONGEST = 40
_ROOMS = {"board": "board", "kiosk": "kiosk"}


@bp.route("/t/<slug>/oauth/device", methods=["GET", "POST"])
def device(slug: str) -> ResponseReturnValue:
    """Asks for the code (`code`, also in the link), and signs the browser in as the device. To open the link uses
    nothing up: programs open links, too."""
    db, tenant = browser.enter(slug)
    me = browser.signed_in(slug)
    code = request.values.get("code", "")[:_LONGEST]
    if request.method != "POST":
        if me is not None and me.user.role in _ROOMS and not code:
            return browser.redirect(_home(slug, me.user.role))
        return _form(code)
    browser.check_csrf()
    address = browser.address()
    throttle.check(db, tenant.id, "pairing", address)
    old = browser.session(slug)
    account = devices.named_by(db, tenant.id, code)
    session_id = devices.pair(
        db, tenant.id, code, agent=browser.device(), address=address, replaces=old.hash if old else None
    )
    if account is None or session_id is None:
        db.rollback()
        throttle.failed(db, tenant.id, "pairing", address)
        detail = {"address": address, "reason": "pairing code"}
        db.run([audit.note(db, tenant.id, "login-failed", outcome=SERIOUS, detail=detail)], final=True)
        return _form(code, wrong=True)
    db.commit()
    browser.take_session(session_id, devices.SESSION_SECONDS)
    return browser.redirect(_home(slug, account.role))


def _home(slug: str, role: str) -> str:
    return f"/t/{slug}/ui/{_ROOMS[role]}/"


def _form(code: str, *, wrong: bool = False) -> Response:
    return browser.page("device.html", status=403 if wrong else 200, code=code, wrong=wrong, me=None)
