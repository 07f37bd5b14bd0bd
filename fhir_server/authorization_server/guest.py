"""Visitors without account: an access token for a booking page elsewhere, and signing in who has just proved an
address (Patient/$prove)."""

from hashlib import sha256

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import answers, browser
from fhir_server.authorization_server.code_signin import ways
from fhir_server.authorization_server.signin import finish
from fhir_server.core.context import Tenant
from fhir_server.interactions.worlds import world
from fhir_server.security import accounts, guests, throttle
from fhir_server.security.oauth.urls import Realm
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import guests as guest_rows
from fhir_server.storage.session import Session

bp = Blueprint("guest", __name__)
browser.guard(bp)

_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_LONGEST = 100


@bp.route("/t/<slug>/oauth/guest-token", methods=_ANY, provide_automatic_options=False)
def token(slug: str) -> Response:
    """An access token of a new guest, who may look, hold two times and register: for a booking page that is not of this
    server. Pages of registered public clients may call it."""
    if request.method == "OPTIONS":
        return answers.preflight(slug, "POST")
    if request.method != "POST":
        return answers.wrong_method("POST")

    def answer(db: Session, realm: Realm) -> Response:
        tenant: Tenant = world(db, slug).tenant
        made = guests.guest_token(db, tenant, guests.new_holder(), answers.address())
        return answers.reply({"access_token": made, "token_type": "Bearer", "expires_in": guests.SECONDS // 2})

    return answers.respond(slug, answer, cross_origin=True)


@bp.get("/t/<slug>/oauth/guest")
def sign_in(slug: str) -> ResponseReturnValue:
    """Signs in the browser whose `ticket` it is, once; to the sign-in page where it is not. Nobody can have somebody
    else's browser signed in: a ticket is good in the browser that proved the address."""
    db, tenant = browser.enter(slug)
    # Asked now, because it ends the open transaction, in which the ticket is used up.
    browser.session(slug)
    throttle.check(db, tenant.id, "factor", browser.address(), browser.address())
    ticket = sha256(request.args.get("ticket", "")[:_LONGEST].encode()).digest()
    user_id = guest_rows.use_ticket(db, tenant.id, guests.guest_id(tenant.id, browser.holder()), ticket)
    account = account_rows.by_id(db, tenant.id, user_id) if user_id else None
    if account is None or not accounts.by_code_alone(account):
        db.commit()
        return browser.redirect(browser.login_url(slug, request.args.get("return_to", "")))
    return finish(db, tenant, account, ways("sms" if account.phone else "email"))
