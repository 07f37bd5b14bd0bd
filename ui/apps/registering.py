"""Looking after apps: registering one, disabling it, letting it in again."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import app_words, browser
from fhir_server.core.errors import NotFound
from ui import fhir
from ui.apps.gallery import bp
from ui.fhir import Refused
from ui.page import is_htmx, may, page, part, see_other, toast
from ui.registered_apps import bundled_registration, of, uris
from ui.texts import language, say

_FIELDS = ("name", "kind", "scope", "redirect", "launch", "website", "contact")
# What is wrong, by the parameter that the server names.
_WRONG = {
    "name": ("name", "Give the app a name of at most 200 characters."),
    "redirect-uri": ("redirect", "Each address begins with https:// (here also http://localhost) and has no wildcard."),
    "launch-url": ("launch", "The address begins with https:// (here also http://localhost)."),
    "website": ("website", "The address begins with https:// (here also http://localhost)."),
    "contact": ("contact", "Contacts are short texts."),
    "scope": ("scope", "Something in it is no SMART scope, or is for services only (system/)."),
    "kind": ("kind", "Choose one of the two."),
}
_NEEDED = {
    "name": "Give the app a name of at most 200 characters.",
    "scope": "Say what the app may do.",
    "redirect": "At least one address is needed.",
}
_USUAL = "launch/patient openid fhirUser online_access patient/Patient.rs patient/Observation.rs"
_LONGEST = 8000


def _check() -> None:
    if not may("clients"):
        raise NotFound("There is no such page.")


@bp.get("/new")
def new(slug: str) -> ResponseReturnValue:
    """The form for an app."""
    _check()
    return _form({"kind": "public", "scope": _USUAL}, {})


@bp.post("/new")
def register(slug: str) -> ResponseReturnValue:
    """Register what the form says; the page after it shows the secret, once."""
    _check()
    given = {name: request.form.get(name, "").replace("\0", "").strip()[:_LONGEST] for name in _FIELDS}
    errors = _missing(given)
    if not errors:
        try:
            answer = fhir.call("$register-app", _parameters(given))
        except Refused as error:
            if error.status not in (400, 422):
                raise
            name, text = _WRONG.get(error.expression.removeprefix("http."), ("", "The server does not accept this."))
            errors = {name: text}
        else:
            made = of(next(each["part"] for each in answer["parameter"] if each["name"] == "app"))
            secret = next((each["valueString"] for each in answer["parameter"] if each["name"] == "client-secret"), "")
            base = f"{browser.origin()}/t/{slug}/fhir"
            return page("apps/made.html", app=made, secret=secret, fhir_base=base)
    return _form(given, errors, status=422)


@bp.post("/words")
def words(slug: str) -> ResponseReturnValue:
    """What scopes mean, in plain words, while they are typed."""
    _check()
    scope = request.form.get("scope", "")[:_LONGEST]
    return part("apps/_words.html", lines=app_words.lines(scope.split(), language()))


@bp.post("/bundled")
def add_bundled(slug: str) -> ResponseReturnValue:
    """Register the app that comes with the server."""
    _check()
    try:
        fhir.call("$register-app", bundled_registration())
    except Refused as error:
        if error.issues and error.issues[0].get("code") == "duplicate":
            return see_other(f"/t/{slug}/ui/apps/")
        raise
    return see_other(f"/t/{slug}/ui/apps/")


@bp.post("/<client_id>/<any(enable, disable):act>")
def change(slug: str, client_id: str, act: str) -> ResponseReturnValue:
    """Disable an app, or let it in again."""
    _check()
    status = "active" if act == "enable" else "disabled"
    answer = fhir.call("$change-app", {"client-id": client_id, "status": fhir.code(status)})
    if not is_htmx():
        return see_other(f"/t/{slug}/ui/apps/")
    app = of(next(each["part"] for each in answer["parameter"] if each["name"] == "app"))
    if act == "disable":
        text, back = say("%(name)s is disabled.", name=app.name), "enable"
    else:
        text, back = say("%(name)s may be used again.", name=app.name), "disable"
    undo = f"/t/{slug}/ui/apps/{client_id}/{back}"
    return toast(part("apps/_registered_app.html", app=app, may_change=True), text, undo=undo)


def _form(given: dict[str, str], errors: dict[str, str], status: int = 200) -> ResponseReturnValue:
    lines = app_words.lines(given.get("scope", "").split(), language())
    shown = {**dict.fromkeys(_FIELDS, ""), **given}
    return page("apps/new.html", status=status, given=shown, errors=errors, lines=lines)


def _missing(given: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in _NEEDED.items() if not given[name]}


def _parameters(given: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": given["name"], "kind": fhir.code(given["kind"] or "public"), "scope": " ".join(given["scope"].split()),
        "redirect-uri": uris(given["redirect"].split()),
    }  # fmt: skip
    for name, field in (("launch-url", "launch"), ("website", "website")):
        if given[field]:
            found[name] = uris([given[field]])
    if given["contact"]:
        found["contact"] = [given["contact"]]
    return found
