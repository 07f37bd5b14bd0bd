"""Signing in and out: password, second factor, code by mail, passkey. Forms work without JavaScript but for passkeys.

A right password makes a session. Where another proof is needed the session is pending: it opens nothing but the page
that asks for that proof. Every step gives the browser a new session id.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from flask import Blueprint, Response, g, request, send_from_directory
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser, letters, rendering, tickets
from fhir_server.core.context import Tenant
from fhir_server.rest import dispatch
from fhir_server.security import accounts, audit, codes, passkeys, throttle, totp, web_sessions
from fhir_server.security.audit_events import SERIOUS
from fhir_server.storage import accounts as account_rows
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

bp = Blueprint("signin", __name__)
browser.guard(bp)

_LONGEST = 1000
PROBLEMS = {
    "credentials": "The e-mail address or the password is not right.",
    "expired": "This page was open too long. Please try again.",
    "passkey": "The passkey did not work. Try again, or use your password.",
    "code": "The code is not right, was used already or is too old.",
}
DONE = {
    "logout": "You are signed out.",
    "password": "Your password was changed. Sign in with the new one.",
    "code": "A new code was sent.",
}


@bp.route("/t/<slug>/oauth/login", methods=["GET", "POST"])
def login(slug: str) -> ResponseReturnValue:
    """The sign-in form, and what it posts: `username`, `password`. Query: `return_to`, `fresh`."""
    db, tenant = browser.enter(slug)
    me = browser.signed_in(slug)
    if request.method != "POST":
        if me is not None and "fresh" not in request.args:
            return browser.redirect(_return_to(slug))
        return _login_form(me.email if me else "", request.args.get("problem", ""))
    try:
        browser.check_csrf()
    except browser.BadForm:
        if me is not None:
            # Signed in meanwhile in another window.
            return browser.redirect(_return_to(slug))
        return _login_form(request.form.get("username", ""), "expired", 403)
    name, password = (request.form.get(field, "")[:_LONGEST] for field in ("username", "password"))
    account = accounts.check_password(db, tenant.id, name, password, browser.address())
    if account is None:
        return _login_form(name, "credentials", 403)
    return proceed(db, tenant, account, ["pwd"])


def _login_form(name: str, problem: str, status: int = 200) -> Response:
    return browser.page(
        "login.html",
        status=status,
        leads_to=_ends_at(),
        username=name,
        problem=PROBLEMS.get(problem, ""),
        done=DONE.get(request.args.get("done", ""), ""),
        code_url=_step_url(g.tenant.slug, "code"),
        me=None,
    )


def _ends_at() -> list[str]:
    """Where a form of these pages may end besides here: at the app whose request brought the person."""
    path, _, query = _return_to(g.tenant.slug).partition("?")
    if not path.endswith("/oauth/authorize/continue"):
        return []
    try:
        ticket = tickets.open_(dispatch.session(), g.tenant.id, dict(parse_qsl(query)).get("request", ""))
    except tickets.Expired:
        return []
    return [ticket.asked.destination.place]


def proceed(db: Session, tenant: Tenant, account: Account, amr: Sequence[str]) -> Response:
    """Go on after the first proof: to the page that asks for the second, or signed in to where the person came from."""
    step = accounts.still_to_prove(db, tenant.id, account)
    if step == "email":
        throttle.check(db, tenant.id, "code", account.email, browser.address())
    _begin(db, tenant, account, amr, pending=bool(step))
    if step == "email":
        letters.send_code(
            db, tenant, account.email, browser.language(tenant.slug), codes.issue(db, tenant.id, account.id, "login")
        )
    db.commit()
    if not step:
        return browser.redirect(_return_to(tenant.slug))
    return browser.redirect(_step_url(tenant.slug, "second-factor" if step == "factor" else "email-code"))


def finish(db: Session, tenant: Tenant, account: Account, amr: Sequence[str]) -> Response:
    """Sign the person in, all proofs given."""
    _begin(db, tenant, account, amr, pending=False)
    db.commit()
    return browser.redirect(_return_to(tenant.slug))


def _begin(db: Session, tenant: Tenant, account: Account, amr: Sequence[str], *, pending: bool) -> None:
    old = browser.session(tenant.slug)
    session_id = web_sessions.start(
        db,
        tenant.id,
        account.id,
        amr=amr,
        agent=browser.device(),
        pending=pending,
        replaces=old.hash if old else None,
    )
    if not pending:
        detail = {"address": browser.address(), "amr": list(amr)}
        db.run([audit.note(db, tenant.id, "login", agent=f"user:{account.id}", detail=detail)])
    browser.take_session(session_id)


def _return_to(slug: str) -> str:
    return browser.safe_return(slug, request.args.get("return_to", ""))


def _step_url(slug: str, step: str) -> str:
    url = browser.login_url(slug, _return_to(slug))
    return url.replace(f"/t/{slug}/oauth/login?", f"/t/{slug}/oauth/{step}?", 1)


# -- the second proof --------------------------------------------------------------------------------------------------


def _waiting(db: Session, tenant: Tenant) -> Account | None:
    """The account whose password was given in this browser, while its second proof is awaited."""
    found = browser.session(tenant.slug)
    if found is None or not found.pending:
        return None
    account = account_rows.by_id(db, tenant.id, found.user.id)
    db.rollback()
    return account


@bp.route("/t/<slug>/oauth/second-factor", methods=["GET", "POST"])
def second_factor(slug: str) -> ResponseReturnValue:
    """Asks for a code of the authenticator app (`code`), a recovery code (`recovery`) or a passkey."""
    db, tenant = browser.enter(slug)
    account = _waiting(db, tenant)
    if account is None or not account.second_factor:
        return browser.redirect(browser.login_url(slug, _return_to(slug)))
    if request.method != "POST":
        return _factor_form(account, request.args.get("problem", ""))
    browser.check_csrf()
    throttle.check(db, tenant.id, "factor", account.id, browser.address())
    code, recovery = (request.form.get(field, "")[:_LONGEST] for field in ("code", "recovery"))
    if code and totp.check(db, tenant.id, account, code):
        return finish(db, tenant, account, ["pwd", "otp", "mfa"])
    if recovery and totp.recover(db, tenant.id, account, recovery):
        message = "A recovery code was used to sign in."
        letters.send_notice(db, tenant, account, account.language or browser.language(slug), message)
        return finish(db, tenant, account, ["pwd", "otp", "mfa"])
    accounts.factor_failed(db, tenant.id, account, browser.address(), "second factor")
    return _factor_form(account, "code", 403)


def _factor_form(account: Account, problem: str, status: int = 200) -> Response:
    return browser.page(
        "second_factor.html",
        status=status,
        leads_to=_ends_at(),
        account=account,
        problem=PROBLEMS.get(problem, ""),
        me=None,
    )


@bp.route("/t/<slug>/oauth/email-code", methods=["GET", "POST"])
def email_code(slug: str) -> ResponseReturnValue:
    """Asks for the six digits that were sent to the address (`code`); `again` sends new ones."""
    db, tenant = browser.enter(slug)
    account = _waiting(db, tenant)
    if account is None or account.second_factor:
        return browser.redirect(browser.login_url(slug, _return_to(slug)))
    if request.method != "POST":
        return _email_form(account, "")
    browser.check_csrf()
    if "again" in request.form:
        throttle.check(db, tenant.id, "code", account.email, browser.address())
        code = codes.issue(db, tenant.id, account.id, "login")
        letters.send_code(db, tenant, account.email, browser.language(slug), code)
        db.commit()
        return browser.redirect(f"{_step_url(slug, 'email-code')}&done=code")
    throttle.check(db, tenant.id, "factor", account.id, browser.address())
    if not codes.redeem(db, tenant.id, account.id, "login", request.form.get("code", "")[:_LONGEST]):
        db.commit()
        accounts.factor_failed(db, tenant.id, account, browser.address(), "code by mail")
        return _email_form(account, "code", 403)
    db.run([account_rows.verify_email(tenant.id, account.id, account.email)])
    return finish(db, tenant, account, ["pwd", "mca", "mfa"])


def _email_form(account: Account, problem: str, status: int = 200) -> Response:
    return browser.page(
        "email_code.html",
        status=status,
        leads_to=_ends_at(),
        email=account.email,
        problem=PROBLEMS.get(problem, ""),
        done=DONE.get(request.args.get("done", ""), ""),
        me=None,
    )


# -- passkeys ----------------------------------------------------------------------------------------------------------


@bp.post("/t/<slug>/oauth/passkey/options")
def passkey_options(slug: str) -> ResponseReturnValue:
    """A new challenge for this browser (JSON for navigator.credentials.get). The token comes in the header X-CSRF."""
    db, tenant = browser.enter(slug)
    browser.check_csrf()
    throttle.check(db, tenant.id, "factor", browser.address(), browser.address())
    options = passkeys.authentication(db, tenant, browser.holder(), browser.origin())
    db.commit()
    return Response(options, content_type="application/json")


@bp.post("/t/<slug>/oauth/passkey")
def passkey(slug: str) -> ResponseReturnValue:
    """Sign in with what the authenticator answered (`credential`, JSON)."""
    db, tenant = browser.enter(slug)
    browser.session(slug)
    browser.check_csrf()
    address = browser.address()
    throttle.check(db, tenant.id, "factor", address, address)
    answer = request.form.get("credential", "")[:20_000]
    try:
        account = passkeys.authenticate(db, tenant, browser.holder(), browser.origin(), answer)
    except passkeys.BadPasskey:
        db.commit()
        throttle.failed(db, tenant.id, "factor", address, address)
        detail = {"address": address, "reason": "passkey"}
        db.run([audit.note(db, tenant.id, "login-failed", outcome=SERIOUS, detail=detail)], final=True)
        return browser.redirect(f"{browser.login_url(slug, _return_to(slug))}&problem=passkey&fresh=1")
    return finish(db, tenant, account, ["pop", "user", "mfa"])


# -- out ---------------------------------------------------------------------------------------------------------------


@bp.route("/t/<slug>/oauth/logout", methods=["GET", "POST"])
def logout(slug: str) -> ResponseReturnValue:
    """Asks, and then ends the session; with `everywhere` also those on other devices."""
    db, tenant = browser.enter(slug)
    me = browser.signed_in(slug)
    if request.method != "POST" and me is not None:
        return browser.page("logout.html")
    if request.method == "POST" and me is not None:
        browser.check_csrf()
        if "everywhere" in request.form:
            web_sessions.end_all(db, tenant.id, me.user.id)
        else:
            web_sessions.end(db, tenant.id, me.session_hash)
        db.run([audit.note(db, tenant.id, "logout", agent=f"user:{me.user.id}")], final=True)
        browser.take_session(web_sessions.new_id())
    return browser.redirect(f"/t/{slug}/oauth/login?done=logout")


@bp.get("/t/<slug>/oauth/static/<name>")
def static_file(slug: str, name: str) -> ResponseReturnValue:
    """Style and scripts of the pages; their address changes with their content."""
    response = send_from_directory(rendering.FOLDER / "static", name)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
