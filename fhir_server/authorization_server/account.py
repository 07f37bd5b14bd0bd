"""The account page: profile, password, second factors, passkeys, sessions, connected apps.

What an intruder at an open browser would change first (second factors, passkeys, address) needs a sign-in of the last
minutes; the password needs the present one.
"""

import time
from typing import NoReturn

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser, letters, rendering
from fhir_server.authorization_server.app_words import lines
from fhir_server.authorization_server.browser import NotSignedIn, SignedIn
from fhir_server.authorization_server.signin import PROBLEMS
from fhir_server.core.context import Tenant
from fhir_server.security import accounts, audit, passkeys, web_sessions
from fhir_server.security.oauth import grants
from fhir_server.security.roles import roles
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import connected_apps, credentials
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

bp = Blueprint("account", __name__)
browser.guard(bp)

_RECENT_SECONDS = 900
DONE = {
    "profile": "Your profile was saved.",
    "password": "Your password was changed. Other devices and apps have to sign in again.",
    "email": "Your e-mail address was changed.",
    "totp": "The authenticator app is off.",
    "passkey": "The passkey was added.",
    "passkey-removed": "The passkey was removed.",
    "session": "That device is signed out.",
    "sessions": "All other devices are signed out.",
    "app": "The app has no access any more.",
}


def enter(slug: str, *, recent: bool = False) -> tuple[Session, Tenant, SignedIn, Account]:
    """The tenant's session, and who is signed in. Raises `NotSignedIn`, with `recent` also after some minutes. A form
    that was posted must carry the token."""
    db, tenant = browser.enter(slug)
    me = browser.signed_in(slug)
    here = request.path if request.method != "POST" else home(slug)
    if me is None or (recent and me.auth_time < time.time() - _RECENT_SECONDS):
        raise NotSignedIn(browser.login_url(slug, here, fresh=me is not None))
    if request.method == "POST":
        browser.check_csrf()
    account = account_rows.by_id(db, tenant.id, me.user.id)
    db.rollback()
    if account is None:
        raise NotSignedIn(browser.login_url(slug, here))
    return db, tenant, me, account


def home(slug: str, **query: str) -> str:
    """The address of the account page. `done`, `problem`: what to say there."""
    tail = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/t/{slug}/oauth/account" + (f"?{tail}" if tail else "")


def done(db: Session, slug: str, what: str) -> Response:
    """Commit, and say on the account page what was done."""
    db.commit()
    return browser.redirect(home(slug, done=what))


def tell(db: Session, tenant: Tenant, account: Account, message: str) -> None:
    """Queue a letter to the account's address about a change."""
    letters.send_notice(db, tenant, account, account.language or browser.language(tenant.slug), message)


@bp.get("/t/<slug>/oauth/account")
def account_page(slug: str) -> ResponseReturnValue:
    """Everything about the account on one page."""
    db, tenant, me, account = enter(slug)
    language = browser.language(slug)
    sessions = web_sessions.of_user(db, tenant.id, account.id)
    keys = credentials.passkeys_of(db, tenant.id, account.id)
    apps = connected_apps.of_user(db, tenant.id, account.id)
    db.commit()
    titles = roles()[account.role].titles if account.role in roles() else {}
    return browser.page(
        "account.html",
        account=account,
        role=titles.get(language, account.role),
        names=rendering.LANGUAGES,
        sessions=[(seen, seen.hash == me.session_hash) for seen in sessions],
        passkeys=keys,
        apps=[(app, lines(app.scopes, language)) for app in apps],
        done=DONE.get(request.args.get("done", ""), ""),
        problem=PROBLEMS.get(request.args.get("problem", ""), ""),
        me=me,
    )


@bp.post("/t/<slug>/oauth/account/profile")
def profile(slug: str) -> ResponseReturnValue:
    """Changes `name` and `language`."""
    db, tenant, me, _ = enter(slug)
    name = accounts.clean_name(request.form.get("name", ""))
    language = rendering.first_known([request.form.get("language", "")])
    db.run([account_rows.set_profile(tenant.id, me.user.id, name, language)])
    accounts.note(db, tenant.id, "user-changed", me.user.id, what="profile")
    browser.remember_language(language)
    return done(db, slug, "profile")


@bp.post("/t/<slug>/oauth/account/sessions")
def end_sessions(slug: str) -> ResponseReturnValue:
    """Signs out the device of `session` (hex), or with `others` all but this one."""
    db, tenant, me, _ = enter(slug)
    if "others" in request.form:
        web_sessions.end_all(db, tenant.id, me.user.id, me.session_hash)
        accounts.note(db, tenant.id, "logout", me.user.id, what="other devices")
        return done(db, slug, "sessions")
    mine = {seen.hash.hex(): seen.hash for seen in web_sessions.of_user(db, tenant.id, me.user.id)}
    chosen = mine.get(request.form.get("session", ""))
    if chosen is None:
        _missing(db)
    web_sessions.end(db, tenant.id, chosen)
    accounts.note(db, tenant.id, "logout", me.user.id, what="one device")
    return done(db, slug, "session")


@bp.post("/t/<slug>/oauth/account/apps")
def end_app(slug: str) -> ResponseReturnValue:
    """Takes back everything that the app `client_id` was let do."""
    db, tenant, me, _ = enter(slug)
    mine = {app.client_id: app for app in connected_apps.of_user(db, tenant.id, me.user.id)}
    app = mine.get(request.form.get("client_id", ""))
    if app is None:
        _missing(db)
    for grant_id in app.grants:
        grants.end_grant(db, tenant.id, grant_id)
    agent = f"user:{me.user.id}"
    db.run([audit.note(db, tenant.id, "token-revoked", agent=agent, client_id=app.client_id)])
    return done(db, slug, "app")


@bp.post("/t/<slug>/oauth/account/passkeys/options")
def passkey_options(slug: str) -> ResponseReturnValue:
    """A challenge to make a passkey (JSON for navigator.credentials.create)."""
    db, tenant, _, account = enter(slug, recent=True)
    options = passkeys.registration(db, tenant, account, browser.holder(), browser.origin())
    db.commit()
    return Response(options, content_type="application/json")


@bp.post("/t/<slug>/oauth/account/passkeys")
def change_passkeys(slug: str) -> ResponseReturnValue:
    """Adds the passkey `credential` (JSON) under `name`, or removes the one of `remove` (hex)."""
    db, tenant, me, account = enter(slug, recent=True)
    if "remove" in request.form:
        mine = {known.credential_id.hex(): known for known in credentials.passkeys_of(db, tenant.id, me.user.id)}
        chosen = mine.get(request.form["remove"])
        if chosen is None:
            _missing(db)
        db.run([credentials.remove_passkey(tenant.id, me.user.id, chosen.credential_id)])
        accounts.note(db, tenant.id, "user-changed", me.user.id, what="passkey removed")
        tell(db, tenant, account, "A passkey was removed from your account.")
        return done(db, slug, "passkey-removed")
    name = accounts.clean_name(request.form.get("name", ""))[:60] or browser.device()
    answer = request.form.get("credential", "")[:50_000]
    try:
        passkeys.register(db, tenant, account, browser.holder(), browser.origin(), answer, name)
    except passkeys.BadPasskey:
        db.commit()
        return browser.redirect(home(slug, problem="passkey"))
    accounts.note(db, tenant.id, "user-changed", me.user.id, what="passkey added")
    tell(db, tenant, account, "A passkey was added to your account.")
    return done(db, slug, "passkey")


def _missing(db: Session) -> NoReturn:
    db.rollback()
    abort(browser.not_found())
