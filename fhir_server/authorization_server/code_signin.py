"""Signing in by a code, sent by e-mail or SMS: for patients and relatives whose account has nothing stronger.

Two pages: the address, the code. What they say is the same whether the address has such an account or not. A code is
good in the browser that asked for it, so nobody can end or guess another's.
"""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.authorization_server.signin import PROBLEMS, finish
from fhir_server.core import clock
from fhir_server.core.context import Tenant
from fhir_server.core.errors import Invalid
from fhir_server.events import wake
from fhir_server.features.notifications import code_messages
from fhir_server.features.notifications.code_messages import Place
from fhir_server.features.notifications.options import options
from fhir_server.features.scheduling.contacts import email_place, phone_place
from fhir_server.security import accounts, audit, codes, throttle
from fhir_server.security.audit_events import SERIOUS
from fhir_server.storage import accounts as account_rows
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

bp = Blueprint("code-signin", __name__)
browser.guard(bp)

_LONGEST = 1000
# Whose codes are written for an address without an account, so that asking takes as long.
_NOBODY = "nobody"
_WRONG = "That is neither an e-mail address nor a mobile number."
_NO_SMS = "Codes are not sent by SMS here. Give your e-mail address."


def ways(channel: str) -> list[str]:
    """How somebody proved who they are by a code (RFC 8176)."""
    return ["otp", "sms"] if channel == "sms" else ["otp"]


@bp.route("/t/<slug>/oauth/code", methods=["GET", "POST"])
def ask(slug: str) -> ResponseReturnValue:
    """Asks for the e-mail address or mobile number (`username`) and sends a code there, if it has such an account."""
    db, tenant = browser.enter(slug)
    if request.method != "POST":
        return _address_form(request.args.get("username", ""), "")
    browser.check_csrf()
    text = request.form.get("username", "")[:_LONGEST]
    try:
        place = _place(tenant, text)
    except Invalid:
        return _address_form(text, _WRONG, 422)
    if not code_messages.carried(tenant, place.channel):
        return _address_form(text, _NO_SMS, 422)
    throttle.check(db, tenant.id, "send-code", place.address, browser.address())
    if place.channel == "sms":
        throttle.check(db, tenant.id, "send-sms", "")
    account = _account(db, tenant, place)
    code = codes.issue(db, tenant.id, account.id if account else _NOBODY, _purpose(), place.address)
    to = place if account else Place(place.channel, "")
    code_messages.send(db, tenant, to, browser.language(slug), code, clock.now())
    db.commit()
    wake.changed(tenant.id)
    return _code_form(place, "")


@bp.route("/t/<slug>/oauth/code/check", methods=["GET", "POST"])
def check(slug: str) -> ResponseReturnValue:
    """Takes address (`username`) and `code`, and signs in."""
    db, tenant = browser.enter(slug)
    if request.method != "POST":
        return browser.redirect(f"/t/{slug}/oauth/code")
    # Asked now, because it ends the open transaction.
    browser.session(slug)
    browser.check_csrf()
    try:
        place = _place(tenant, request.form.get("username", "")[:_LONGEST])
    except Invalid:
        return browser.redirect(f"/t/{slug}/oauth/code")
    address = browser.address()
    throttle.check(db, tenant.id, "try-code", place.address, address)
    account = _account(db, tenant, place)
    holder = account.id if account else _NOBODY
    right = codes.redeem(db, tenant.id, holder, _purpose(), request.form.get("code", "")[:_LONGEST], place.address)
    if account is None or not right:
        db.commit()
        throttle.failed(db, tenant.id, "try-code", place.address, address)
        agent = f"user:{account.id}" if account else ""
        detail = {"address": address, "reason": "code"}
        db.run([audit.note(db, tenant.id, "login-failed", outcome=SERIOUS, agent=agent, detail=detail)], final=True)
        return _code_form(place, PROBLEMS["code"], 403)
    # What is counted in a table is counted in a transaction of its own.
    db.commit()
    throttle.succeeded(db, tenant.id, "try-code", place.address, address)
    return finish(db, tenant, account, ways(place.channel))


def _place(tenant: Tenant, text: str) -> Place:
    return email_place(text) if "@" in text else phone_place(text, options(tenant).region)


def _account(db: Session, tenant: Tenant, place: Place) -> Account | None:
    """The account of an address if codes sign in to it."""
    look = account_rows.by_email if place.channel == "email" else account_rows.by_phone
    found = look(db, tenant.id, place.address)
    return found if found is not None and accounts.by_code_alone(found) else None


def _purpose() -> str:
    return f"sign-in {browser.holder().hex()[:32]}"


def _address_form(text: str, problem: str, status: int = 200) -> Response:
    return browser.page("code_address.html", status=status, username=text, problem=problem, query=_query(), me=None)


def _code_form(place: Place, problem: str, status: int = 200) -> Response:
    return browser.page("code_check.html", status=status, place=place, problem=problem, query=_query(), me=None)


def _query() -> str:
    """The part of the address that says where to go afterwards."""
    return browser.login_url(request.view_args["slug"], request.args.get("return_to", "")).partition("?")[2]  # type: ignore[index]
