"""Step 2: who comes. A visitor says it in a form and gets a code; who is signed in looks once more and books."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.booking import free
from ui.booking.catalogue import catalogue, mode_names
from ui.booking.free import Time
from ui.booking.place import asking, bp, person
from ui.booking.times import remember, wanted_of
from ui.booking.whose import patients
from ui.fhir import Refused
from ui.texts import language, say

_FIELDS = ("given", "family", "birthDate", "gender", "contact", "comment")
_LONGEST = 1000
# A visitor who wants an account without a visit, to join the wait list.
NOTHING = "none"
SENT_TO = "salam-booking-to"
_SENT_SECONDS = 900


@bp.get("/who/<id_>")
def who(slug: str, id_: str) -> ResponseReturnValue:
    """The time that is held, and who comes."""
    return _who(slug, id_, {}, {})


@bp.post("/who/<id_>")
def say_who(slug: str, id_: str) -> ResponseReturnValue:
    """A visitor: send a code, on to step 3. Who is signed in: book."""
    if person() is not None:
        return _book(slug, id_)
    given = {name: request.form.get(name, "").strip()[:_LONGEST] for name in _FIELDS}
    try:
        with asking(holding=True):
            answer = fhir.call("Patient/$register", _words(given))
    except Refused as error:
        if error.status == 429:
            text = say("Too many codes were asked for. Please wait some minutes.")
            return _who(slug, id_, given, {"contact": text}, 429)
        if error.status != 400:
            raise
        return _who(slug, id_, given, _problems(error, given), 422)
    sent_to = next(each["valueString"] for each in answer["parameter"] if each["name"] == "sent-to")
    response = page.see_other(f"/t/{slug}/ui/booking/code/{id_}{_query()}")
    response.set_cookie(
        SENT_TO, sent_to.encode().hex(), max_age=_SENT_SECONDS, path=f"/t/{slug}/ui/booking",
        httponly=True, samesite="Lax", secure=request.is_secure,
    )  # fmt: skip
    return remember(response)


@bp.post("/extend/<id_>")
def extend(slug: str, id_: str) -> ResponseReturnValue:
    """Hold the time longer, once."""
    with asking(holding=True):
        fhir.call("Appointment/$hold", {"appointment-reference": fhir.reference(f"Appointment/{id_}")})
    step = "code" if request.form.get("step") == "code" else "who"
    return page.see_other(f"/t/{slug}/ui/booking/{step}/{id_}{_query()}")


def held(id_: str) -> Time | None:
    """What this browser or person holds under an id; None when it is over or was never there."""
    if id_ == NOTHING:
        return None
    try:
        with asking(holding=True):
            found = free.time_of(fhir.read(f"Appointment/{id_}"))
    except Refused as error:
        if error.status in (403, 404, 410):
            return None
        raise
    return found if found.status in ("pending", "booked") else None


def over(slug: str, id_: str) -> Response:
    """The page for a time that is held no more: what was wanted, and the nearest times."""
    wanted = wanted_of(request.values)
    nearest = free.find(wanted, page.today(), 14, 60)[:3] if wanted.service else []
    return page.page("booking/over.html", status=410, wanted=wanted, nearest=nearest, query=urlencode(wanted.query()))


def _who(slug: str, id_: str, given: Mapping[str, str], errors: Mapping[str, str], status: int = 200) -> Response:
    time = held(id_)
    if time is not None and time.status == "booked":
        return page.see_other(f"/t/{slug}/ui/booking/done/{id_}")
    if id_ != NOTHING and (time is None or time.lapsed):
        return over(slug, id_)
    return page.page(
        "booking/who.html", status=status, time=time, id_=id_, given={**dict.fromkeys(_FIELDS, ""), **given},
        errors=errors, known=catalogue(), me=person(), people=patients(), wanted=wanted_of(request.values),
        query=_query(), modes=mode_names(), oldest=date(page.today().year - 130, 1, 1), waitlist=id_ == NOTHING,
        consent="consent" in request.form,
    )  # fmt: skip


def _book(slug: str, id_: str) -> ResponseReturnValue:
    comment = request.form.get("comment", "").strip()[:_LONGEST]
    given: dict[str, Any] = {"appointment-reference": fhir.reference(f"Appointment/{id_}"), "comment": comment or None}
    try:
        fhir.call("Appointment/$book", given, key=f"book-{id_}")
    except Refused as error:
        if error.status == 404 or error.detail in ("hold-expired", "slot-taken", "slot-held", "wrong-state"):
            time = held(id_)
            booked = time is not None and time.status == "booked"
            return page.see_other(f"/t/{slug}/ui/booking/done/{id_}") if booked else over(slug, id_)
        if error.status in (409, 422):
            return _who(slug, id_, {"comment": comment}, {"": page.sentence(error)}, error.status)
        raise
    return page.see_other(f"/t/{slug}/ui/booking/done/{id_}")


def _words(given: Mapping[str, str]) -> dict[str, Any]:
    by = "email" if "@" in given["contact"] else "phone"
    return {
        "given": given["given"] or None, "family": given["family"] or None, "birthDate": given["birthDate"] or None,
        "gender": fhir.code(given["gender"]) if given["gender"] in ("female", "male", "other") else None,
        by: given["contact"] or None, "language": fhir.code(language()), "consent": "consent" in request.form,
        "comment": given["comment"] or None,
    }  # fmt: skip


def _problems(error: Refused, given: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, at its field, in the person's language."""
    texts = {
        "given": say("Please give the first name."),
        "family": say("Please give the family name."),
        "birthDate": say("Please give the whole date of birth."),
        "consent": say("Please agree to the terms, so that the clinic may keep your data."),
        "phone": say("This is no mobile number. Write it with its country, such as +212 6 12 34 56 78."),
        "email": say("This is no e-mail address."),
    }
    found: dict[str, str] = {}
    for issue in error.issues:
        name = str((issue.get("expression") or [""])[0]).removeprefix("http.")
        text = texts.get(name, page.sentence(error))
        if issue.get("code") == "not-supported":
            text = say("Codes are not sent by SMS here. Please give an e-mail address.")
        elif name in ("phone", "email") and not given["contact"]:
            text = say("Please give a mobile number or an e-mail address.")
        found[{"phone": "contact", "email": "contact"}.get(name, name)] = text
    return found


def _query() -> str:
    text = urlencode(wanted_of(request.values).query())
    return f"?{text}" if text else ""


