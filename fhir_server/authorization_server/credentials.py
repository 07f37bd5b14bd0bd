"""Pages of the account that change what signs in: password, e-mail address, authenticator app."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser, letters
from fhir_server.authorization_server.account import done, enter, tell
from fhir_server.authorization_server.recovery import WEAK
from fhir_server.authorization_server.signin import PROBLEMS
from fhir_server.core.context import Tenant
from fhir_server.security import accounts, codes, passwords, throttle, totp
from fhir_server.storage import accounts as account_rows
from fhir_server.storage.accounts import Account
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.session import Session

bp = Blueprint("credentials", __name__)
browser.guard(bp)

_LONGEST = 1000
PRESENT = "The present password is not right."
NO_EMAIL = "That is no e-mail address."


@bp.route("/t/<slug>/oauth/account/password", methods=["GET", "POST"])
def password(slug: str) -> ResponseReturnValue:
    """Changes the password (`password`) for whoever knows the present one (`current`)."""
    db, tenant, me, account = enter(slug)
    if request.method != "POST":
        return browser.page("password.html", account=account, current_wrong="", weak="")
    throttle.check(db, tenant.id, "factor", account.id, browser.address())
    if not passwords.verify(account.password_hash, request.form.get("current", "")[:_LONGEST]):
        accounts.factor_failed(db, tenant.id, account, browser.address(), "present password")
        return browser.page("password.html", status=403, account=account, current_wrong=PRESENT, weak="")
    chosen = request.form.get("password", "")
    weak = passwords.weakness(chosen, account.email, account.name)
    if weak:
        return browser.page("password.html", status=422, account=account, current_wrong="", weak=WEAK[weak])
    accounts.set_password(db, tenant.id, account, chosen, by="self", keep=me.session_hash)
    tell(db, tenant, account, "Your password was changed.")
    return done(db, slug, "password")


@bp.route("/t/<slug>/oauth/account/email", methods=["GET", "POST"])
def email(slug: str) -> ResponseReturnValue:
    """Takes a new address (`email`) and sends a code there; with the code (`code`) the address becomes the account's.

    The answer is the same when another account has the address; nothing is sent then.
    """
    db, tenant, _, account = enter(slug, recent=True)
    if request.method != "POST":
        return browser.page("email.html", account=account, problem="", email="")
    address = accounts.normal_email(request.form.get("email", "")[:_LONGEST])
    if not accounts.is_email(address):
        return browser.page("email.html", status=422, account=account, problem=NO_EMAIL, email=address)
    if "code" in request.form:
        return _change_email(db, tenant, account, address)
    throttle.check(db, tenant.id, "code", account.id, browser.address())
    code = codes.issue(db, tenant.id, account.id, "email", address)
    taken = account_rows.by_email(db, tenant.id, address) is not None
    letters.send_code(db, tenant, "" if taken else address, browser.language(slug), code)
    db.commit()
    return browser.page("email_change.html", email=address, problem="")


def _change_email(db: Session, tenant: Tenant, account: Account, address: str) -> Response:
    throttle.check(db, tenant.id, "factor", account.id, browser.address())
    if not codes.redeem(db, tenant.id, account.id, "email", request.form["code"][:_LONGEST], address):
        db.commit()
        accounts.factor_failed(db, tenant.id, account, browser.address(), "code by mail")
        return browser.page("email_change.html", status=403, email=address, problem=PROBLEMS["code"])
    try:
        db.run([account_rows.verify_email(tenant.id, account.id, address)])
    except UniqueViolation:
        return browser.page("email_change.html", status=403, email=address, problem=PROBLEMS["code"])
    accounts.note(db, tenant.id, "user-changed", account.id, what="address")
    tell(db, tenant, account, "The e-mail address of your account was changed.")
    return done(db, tenant.slug, "email")


@bp.route("/t/<slug>/oauth/account/totp", methods=["GET", "POST"])
def authenticator(slug: str) -> ResponseReturnValue:
    """Shows a new secret as QR code and takes the first code of the app (`code`, `offer`); `remove` takes it away."""
    db, tenant, _, account = enter(slug, recent=True)
    if request.method != "POST":
        secret, offer = totp.offer(db, tenant.id, account.id)
        return _secret_form(tenant, account, secret, offer)
    if "remove" in request.form:
        totp.stop(db, tenant.id, account)
        accounts.note(db, tenant.id, "user-changed", account.id, what="totp removed")
        tell(db, tenant, account, "The authenticator app was removed from your account.")
        return done(db, slug, "totp")
    throttle.check(db, tenant.id, "factor", account.id, browser.address())
    offer = request.form.get("offer", "")[:_LONGEST]
    known = totp.offered(db, tenant.id, account.id, offer)
    if known is None:
        return browser.redirect(f"/t/{slug}/oauth/account/totp")
    recovery = totp.begin(db, tenant.id, account, known, request.form.get("code", "")[:_LONGEST])
    if recovery is None:
        return _secret_form(tenant, account, known, offer, PROBLEMS["code"], 403)
    accounts.note(db, tenant.id, "user-changed", account.id, what="totp added")
    tell(db, tenant, account, "An authenticator app was added to your account.")
    db.commit()
    return browser.page("recovery_codes.html", codes=recovery)


def _secret_form(
    tenant: Tenant, account: Account, secret: str, offer: str, problem: str = "", status: int = 200
) -> Response:
    return browser.page(
        "totp.html",
        status=status,
        picture=totp.picture(totp.address(secret, account.email, tenant.name)),
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        offer=offer,
        problem=problem,
    )
