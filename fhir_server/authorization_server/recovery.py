"""Ways to a password without knowing one: the code of a reset, the link of an invitation."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser, letters
from fhir_server.authorization_server.signin import PROBLEMS, finish
from fhir_server.security import accounts, codes, passwords, throttle
from fhir_server.storage import accounts as account_rows
from fhir_server.storage.accounts import Account

bp = Blueprint("recovery", __name__)
browser.guard(bp)

_LONGEST = 1000
# Whose codes are written for an address without an account, so that asking takes as long.
_NOBODY = "nobody"
WEAK = {
    "short": "The password is too short: take at least 12 characters, for example four words.",
    "long": "The password is too long.",
    "common": "This password is one of those that are tried first. Choose another one.",
    "known": "The password must not be made of your name or address.",
}


@bp.route("/t/<slug>/oauth/reset", methods=["GET", "POST"])
def reset(slug: str) -> ResponseReturnValue:
    """Asks for the address (`username`) and sends a code there, if it has an account. All get the same answer."""
    db, tenant = browser.enter(slug)
    if request.method != "POST":
        return browser.page("reset.html", me=None, problem=PROBLEMS.get(request.args.get("problem", ""), ""))
    browser.check_csrf()
    email = accounts.normal_email(request.form.get("username", "")[:_LONGEST])
    language = browser.language(slug)
    throttle.check(db, tenant.id, "code", email, browser.address())
    account = _active(accounts.lookup(db, tenant.id, email))
    code = codes.issue(db, tenant.id, account.id if account else _NOBODY, "reset")
    letters.send_code(db, tenant, account.email if account else "", language, code)
    db.commit()
    return _code_form(email)


@bp.route("/t/<slug>/oauth/reset/code", methods=["GET", "POST"])
def reset_code(slug: str) -> ResponseReturnValue:
    """Takes address, code and the new password; every session and app ends. Signing in comes after."""
    if request.method != "POST":
        return browser.redirect(f"/t/{slug}/oauth/reset")
    db, tenant = browser.enter(slug)
    browser.check_csrf()
    email = accounts.normal_email(request.form.get("username", "")[:_LONGEST])
    password = request.form.get("password", "")
    weak = passwords.weakness(password, email)
    if weak:
        return _code_form(email, weak=weak, code=request.form.get("code", "")[:10])
    address = browser.address()
    throttle.check(db, tenant.id, "factor", email, address)
    account = _active(accounts.lookup(db, tenant.id, email))
    right = codes.redeem(
        db, tenant.id, account.id if account else _NOBODY, "reset", request.form.get("code", "")[:_LONGEST]
    )
    if account is None or not right:
        db.commit()
        throttle.failed(db, tenant.id, "factor", email, address)
        return _code_form(email, wrong=True)
    accounts.set_password(db, tenant.id, account, password, by="self")
    db.run([account_rows.verify_email(tenant.id, account.id, account.email)])
    letters.send_notice(db, tenant, account, account.language or browser.language(slug), "Your password was changed.")
    db.commit()
    return browser.redirect(f"/t/{slug}/oauth/login?done=password")


def _active(account: Account | None) -> Account | None:
    return account if account is not None and account.status == "active" else None


def _code_form(email: str, *, weak: str = "", wrong: bool = False, code: str = "") -> Response:
    return browser.page(
        "reset_code.html",
        status=422 if weak else 403 if wrong else 200,
        email=email,
        code=code,
        problem=PROBLEMS["code"] if wrong else "",
        weak=WEAK.get(weak, ""),
        me=None,
    )


@bp.route("/t/<slug>/oauth/invitation", methods=["GET", "POST"])
def invitation(slug: str) -> ResponseReturnValue:
    """Opens an invitation (`token`): the person chooses a password and is signed in."""
    db, tenant = browser.enter(slug)
    token = request.args.get("token", "")
    throttle.check(db, tenant.id, "factor", browser.address(), browser.address())
    user_id = codes.invited(db, tenant.id, token)
    account = account_rows.by_id(db, tenant.id, user_id) if user_id else None
    db.rollback()
    if account is None or account.status != "invited":
        throttle.failed(db, tenant.id, "factor", browser.address(), browser.address())
        return browser.page("problem.html", status=404, kind="invitation", me=None)
    if request.method != "POST":
        return _invitation_form(account, account.name)
    browser.session(slug)
    browser.check_csrf()
    name = accounts.clean_name(request.form.get("name", ""))
    password = request.form.get("password", "")
    weak = passwords.weakness(password, account.email, name)
    if weak:
        return _invitation_form(account, name, weak)
    language = browser.language(slug)
    if codes.accept(db, tenant.id, token) is None:
        db.rollback()
        return browser.page("problem.html", status=404, kind="invitation", me=None)
    db.run(
        [
            account_rows.set_profile(tenant.id, account.id, name, language),
            account_rows.set_status(tenant.id, account.id, "active"),
            account_rows.verify_email(tenant.id, account.id, account.email),
        ]
    )
    accounts.set_password(db, tenant.id, account, password, by="self")
    return finish(db, tenant, account, ["pwd"])


def _invitation_form(account: Account, name: str, weak: str = "") -> Response:
    return browser.page(
        "invitation.html", status=422 if weak else 200, account=account, name=name, weak=WEAK.get(weak, ""), me=None
    )
