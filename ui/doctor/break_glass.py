"""Opening a record that is closed to the person, in an emergency: with a reason, for some minutes, seen by others.

The server decides, logs and tells those who review it (docs/howto/consent.md). That a record stands open is remembered
by a cookie that ends with it, so that every page of the record says so.
"""

from datetime import datetime
from typing import Any

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor.entry import bp, here, record
from ui.fhir import Refused
from ui.formats import moment_of
from ui.texts import say

_SHORTEST, _LONGEST = 10, 500
MINUTES = (15, 30, 60)
_FRESH = 15 * 60


@bp.get("/break-glass")
def ask(slug: str) -> ResponseReturnValue:
    """The form for a patient who is found by no search, by an identifier."""
    _check_role()
    return _form("", {}, {})


@bp.get("/patient/<patient_id>/break-glass")
def ask_for(slug: str, patient_id: str) -> ResponseReturnValue:
    """The form for a record of which parts are closed."""
    _check_role()
    return _form(patient_id, {}, {})


@bp.post("/break-glass")
def open_by_identifier(slug: str) -> ResponseReturnValue:
    """Open the record of the patient with an identifier."""
    return _open("")


@bp.post("/patient/<patient_id>/break-glass")
def open_record(slug: str, patient_id: str) -> ResponseReturnValue:
    """Open a record."""
    return _open(patient_id)


@bp.post("/patient/<patient_id>/end-break-glass")
def end(slug: str, patient_id: str) -> ResponseReturnValue:
    """Close it before its time."""
    fhir.call(f"Patient/{patient_id}/$end-break-glass")
    response = page.see_other(here(f"?closed={patient_id}"))
    response.delete_cookie(_cookie(patient_id), path=here())
    return response


def closed_record(patient_id: str) -> Response:
    """The page for a record that is not there, or is closed: the same for both."""
    return _form(patient_id, {}, {}, missing=True, status=404)


def open_until(patient_id: str) -> str:
    """The instant until which this person has the record open by break-glass; "" when it is not."""
    given = request.cookies.get(_cookie(patient_id), "").strip('"')
    try:
        return given if given and datetime.fromisoformat(given) > page.now() else ""
    except (ValueError, TypeError):
        return ""


def _open(patient_id: str) -> ResponseReturnValue:
    _check_role()
    given = {name: request.form.get(name, "").strip() for name in ("reason", "purpose", "minutes", "identifier")}
    wrong = _wrong(given, patient_id)
    if wrong:
        return _form(patient_id, given, wrong, status=422)
    parameters: dict[str, Any] = {
        "reason": given["reason"],
        "purpose": fhir.code(given["purpose"] or "BTG"),
        "minutes": int(given["minutes"] or 15),
    }
    path = f"Patient/{patient_id}/$break-glass"
    if not patient_id:
        path, parameters["identifier"] = "Patient/$break-glass", given["identifier"]
    try:
        answer = fhir.call(path, parameters)
    except Refused as error:
        return _refused(error, patient_id, given)
    parts = {each["name"]: each for each in answer["parameter"]}
    opened = str(parts["patient"]["valueReference"]["reference"]).partition("/")[2]
    expires = str(parts["expires"]["valueInstant"])
    response = page.see_other(record(opened))
    seconds = max(int((moment_of(expires) - page.now()).total_seconds()), 1)
    response.set_cookie(
        _cookie(opened),
        expires,
        max_age=seconds,
        path=here(),
        httponly=True,
        samesite="Lax",
        secure=browser.origin().startswith("https://"),
    )
    return response


def _wrong(given: dict[str, str], patient_id: str) -> dict[str, str]:
    wrong = {}
    if not _SHORTEST <= len(given["reason"]) <= _LONGEST:
        wrong["reason"] = say("Say why, in 10 to 500 characters.")
    if given["minutes"] not in ("", *map(str, MINUTES)):
        wrong["minutes"] = say("Choose one of the list.")
    if given["purpose"] not in ("", "BTG", "ETREAT"):
        wrong["purpose"] = say("Choose one of the list.")
    if not patient_id and not given["identifier"]:
        wrong["identifier"] = say("Write the patient's identifier.")
    return wrong


def _refused(error: Refused, patient_id: str, given: dict[str, str]) -> ResponseReturnValue:
    if error.status == 401:
        # It takes a sign-in of the last 15 minutes (RFC 9470).
        return _form(patient_id, given, {}, status=401, stale=True)
    if error.status == 404:
        return _form(
            patient_id, given, {"identifier": say("No patient with this identifier is known here.")}, status=404
        )
    if error.status in (400, 409, 422):
        return _form(
            patient_id, given, {"identifier": say("This identifier is not unique, or not understood.")}, status=422
        )
    raise error


def _form(
    patient_id: str,
    given: dict[str, str],
    wrong: dict[str, str],
    *,
    status: int = 200,
    missing: bool = False,
    stale: bool = False,
) -> Response:
    me = page.me()
    stale = stale or page.now().timestamp() - me.auth_time > _FRESH
    back = here(f"patient/{patient_id}/break-glass") if patient_id else here("break-glass")
    login = browser.login_url(g.tenant.slug, back, fresh=True)
    return page.page(
        "doctor/break_glass.html",
        status=status,
        patient_id=patient_id,
        given=given,
        wrong=wrong,
        missing=missing,
        stale=stale,
        login=login,
        minutes=MINUTES,
    )


def _check_role() -> None:
    if not page.may("break-glass"):
        raise NotFound("There is no such page.")


def _cookie(patient_id: str) -> str:
    return f"open-{patient_id}"
