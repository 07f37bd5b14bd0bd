"""Step 3: the code. It proves the address, makes the account, and books what is held, at once."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.booking import free
from ui.booking.catalogue import mode_names
from ui.booking.free import Time
from ui.booking.place import asking, bp
from ui.booking.times import wanted_of
from ui.booking.who import NOTHING, SENT_TO, held, over
from ui.fhir import Refused
from ui.texts import say

_CODES = ("code-wrong", "code-over")


@bp.get("/code/<id_>")
def code(slug: str, id_: str) -> ResponseReturnValue:
    """Asks for the six digits."""
    return _form(slug, id_)


@bp.post("/code/<id_>")
def prove(slug: str, id_: str) -> ResponseReturnValue:
    """Takes the code (`code`), books, and signs the browser in."""
    digits = "".join(each for each in request.form.get("code", "") if each.isdecimal())[:12]
    given: dict[str, Any] = {"code": "".join(str(int(each)) for each in digits) or "-"}
    booking = {} if id_ == NOTHING else {"appointment-reference": fhir.reference(f"Appointment/{id_}")}
    try:
        with asking(holding=True):
            answer = fhir.call("Patient/$prove", {**given, **booking})
    except Refused as error:
        if error.detail in _CODES:
            return _form(slug, id_, error.detail)
        if error.status in (404, 409, 422):
            return _without_time(slug, id_, given, error)
        raise
    return _proved(slug, id_, _values(answer))


@bp.post("/again/<id_>")
def again(slug: str, id_: str) -> ResponseReturnValue:
    """Send a new code for what was said."""
    try:
        with asking(holding=True):
            fhir.call("Patient/$register", {"again": True})
    except Refused as error:
        if error.status == 429:
            return _form(slug, id_, "too-many")
        if error.status == 409:
            return page.see_other(f"/t/{slug}/ui/booking/who/{id_}{_query()}")
        raise
    return page.see_other(f"/t/{slug}/ui/booking/code/{id_}{_query('&sent=1')}")


def _without_time(slug: str, id_: str, given: dict[str, Any], refused: Refused) -> ResponseReturnValue:
    """The address is proved, but the time is gone: the person need not prove it again for another one."""
    try:
        with asking(holding=True):
            values = _values(fhir.call("Patient/$prove", given))
    except Refused as error:
        if error.detail in _CODES:
            return _form(slug, id_, error.detail)
        raise
    target = f"/t/{slug}/ui/booking/gone?{urlencode(wanted_of(request.values).query(why=refused.detail))}"
    return _signed_in(slug, values, target)


@bp.get("/gone")
def gone(slug: str) -> Response:
    """The time was taken in the meantime: the nearest others, for who has proved the address."""
    return over(slug, "")


def _proved(slug: str, id_: str, values: dict[str, Any]) -> ResponseReturnValue:
    if id_ == NOTHING:
        return _signed_in(slug, values, f"/t/{slug}/ui/booking/waitlist{_query()}")
    if "ticket" in values:
        return _signed_in(slug, values, f"/t/{slug}/ui/booking/done/{values['appointment']['id']}")
    time = free.time_of(values["appointment"])
    return page.page("booking/done.html", time=time, signed_in=False, account=values["account"],
                     mode_words=mode_names(), timedelta=timedelta)  # fmt: skip


def _signed_in(slug: str, values: dict[str, Any], target: str) -> Response:
    if "ticket" not in values:
        return page.see_other(target)
    query = urlencode({"ticket": values["ticket"], "return_to": target})
    return page.see_other(f"/t/{slug}/oauth/guest?{query}")


def _form(slug: str, id_: str, problem: str = "") -> Response:
    time: Time | None = held(id_)
    if time is not None and time.status == "booked":
        return page.see_other(f"/t/{slug}/ui/booking/done/{id_}")
    if id_ != NOTHING and (time is None or time.lapsed):
        return over(slug, id_)
    texts = {
        "code-wrong": say("The code is not right. Look at the newest message."),
        "code-over": say("This code cannot be used any more. Ask for a new one."),
        "too-many": say("Too many codes were asked for. Please wait some minutes."),
    }
    return page.page(
        "booking/code.html", status=422 if problem else 200, time=time, id_=id_, problem=texts.get(problem, ""),
        over=problem == "code-over", sent_to=_sent_to(), sent="sent" in request.args, query=_query(),
        wanted=wanted_of(request.values), mode_words=mode_names(),
    )  # fmt: skip


def _sent_to() -> str:
    try:
        return bytes.fromhex(request.cookies.get(SENT_TO, "")).decode()[:100]
    except (ValueError, UnicodeDecodeError):
        return ""


def _query(more: str = "") -> str:
    text = urlencode(wanted_of(request.values).query()) + more
    return f"?{text.lstrip('&')}" if text else ""


def _values(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        each["name"]: each.get("resource") or next(value for name, value in each.items() if name.startswith("value"))
        for each in answer["parameter"]
    }
