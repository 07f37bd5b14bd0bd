"""Step 1: the times of a service in a week, and holding one of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from urllib.parse import urlencode

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.booking import free
from ui.booking.catalogue import catalogue, mode_icon, mode_names
from ui.booking.free import Time, Wanted
from ui.booking.place import asking, bp, person
from ui.booking.whose import patients
from ui.fhir import Refused

_WEEK = 7
_YEAR = 366
_GONE = ("slot-taken", "slot-held", "hold-expired")
COOKIE = "salam-booking"
_COOKIE_SECONDS = 3600


@bp.get("/times")
def times(slug: str) -> ResponseReturnValue:
    """The free times of a week (query: service, doctor, place, mode, who, from, instead)."""
    return _times(slug, wanted_of(request.args))


@bp.post("/hold")
def hold(slug: str) -> ResponseReturnValue:
    """Hold the time `proposal`; `instead` (an Appointment held before) is given free."""
    wanted = wanted_of(request.form)
    proposal, mode = _proposal()
    given: dict[str, object] = {"appointment-reference": fhir.reference(f"Appointment/{proposal}")}
    if wanted.patient and person() is not None:
        given["patient-reference"] = fhir.reference(wanted.patient)
    if mode:
        given["mode"] = fhir.code(wanted.mode or mode)
    instead = request.form.get("instead", "")
    if instead:
        # Two holds are the most, and this one is given up anyway.
        _let_go(instead)
    try:
        with asking(holding=True):
            bundle = fhir.call("Appointment/$hold", given)
    except Refused as error:
        if error.status in (409, 422):
            return _times(slug, wanted, refused=error)
        raise
    held = next(each["resource"] for each in bundle["entry"] if each["search"]["mode"] == "match")
    response = page.see_other(f"/t/{slug}/ui/booking/who/{held['id']}?{urlencode(wanted.query())}")
    return remember(response)


@bp.post("/release/<id_>")
def release(slug: str, id_: str) -> ResponseReturnValue:
    """Give a held time free; `to=sign-in`: who has an account goes on with that, and chooses the time again. The
    visitor that this browser was is nobody then, and his hold would be in the way."""
    _let_go(id_)
    if request.form.get("to") != "sign-in":
        return page.see_other(f"/t/{slug}/ui/booking/")
    wanted = wanted_of(request.values)
    place = "times" if wanted.service else ""
    day = {"from": request.form["from"]} if wanted.service and "from" in request.form else {}
    return browser.redirect(
        browser.login_url(slug, f"/t/{slug}/ui/booking/{place}?{urlencode({**wanted.query(), **day})}")
    )


def remember(response: Response) -> Response:
    """Have the browser remember that it began to book, and nothing else."""
    response.set_cookie(COOKIE, "1", max_age=_COOKIE_SECONDS, path="/", httponly=True, samesite="Lax",
                        secure=request.is_secure)  # fmt: skip
    return response


def _let_go(id_: str) -> None:
    try:
        with asking(holding=True):
            fhir.call(f"Appointment/{_plain(id_)}/$cancel")
    except Refused:
        # It is over by itself, or not this browser's: nothing that would matter to who goes on.
        return


def _proposal() -> tuple[str, str]:
    """What was chosen: the proposal, and the usual mode of a service that leaves the choice."""
    found, _, mode = request.form.get("proposal", "").partition("~")
    if not _plain(found):
        raise NotFound("There is no such page.")
    return found, mode


def _plain(text: str) -> str:
    """An id, and nothing that could lead elsewhere."""
    return text if text.replace("-", "").replace(".", "").isalnum() and len(text) <= 64 else ""


def wanted_of(args: Mapping[str, str]) -> Wanted:
    """What a page's address or form says is looked for; what is not there is not looked for."""
    known = catalogue()
    service, doctor, place = (
        f"{kind}/{args.get(name, '')}"
        for name, kind in (("service", "HealthcareService"), ("doctor", "Practitioner"), ("place", "Location"))
    )
    service = service if service in known.services else ""
    doctor = doctor if doctor in known.doctors else ""
    mine = patients()
    who = f"Patient/{args.get('who', '')}"
    patient = who if who in mine else next(iter(mine), "")
    mode = args.get("mode", "")
    if service and mode not in known.services[service].modes:
        mode = ""
    return Wanted(service, doctor, place if place in known.places else "", mode, patient)


def _times(slug: str, wanted: Wanted, refused: Refused | None = None) -> Response:
    known = catalogue()
    if not wanted.service and wanted.doctor:
        own = known.doctors[wanted.doctor].services
        wanted = Wanted(own[0] if own else "", wanted.doctor, wanted.place, wanted.mode, wanted.patient)
    service = known.services.get(wanted.service)
    if service is None:
        return page.see_other(f"/t/{slug}/ui/booking/")
    if len(service.modes) > 1 and not wanted.mode:
        wanted = Wanted(wanted.service, wanted.doctor, wanted.place, service.modes[0], wanted.patient)
    today = page.today()
    begin, asked = _begin(request.values.get("from", ""), today)
    soonest = free.first(wanted, today)
    if not asked and soonest is not None and soonest.start.date() >= today + timedelta(days=_WEEK):
        begin = soonest.start.date()
    found = free.find(wanted, begin, _WEEK) if soonest is not None else []
    return page.page(
        "booking/times.html", status=refused.status if refused else 200,
        known=known, wanted=wanted, service=service, doctor=known.doctors.get(wanted.doctor),
        days=_by_day(found, begin),
        begin=begin, before=begin - timedelta(days=_WEEK) if begin > today else None,
        after=begin + timedelta(days=_WEEK), soonest=soonest, link=_link(slug),
        instead=_plain(request.values.get("instead", "")),
        refused=refused, nearest=_nearest(refused), gone=refused is not None and refused.detail in _GONE,
        people=patients(), modes=mode_names(), mode_icon=mode_icon, problem=page.sentence(refused) if refused else "",
        last=today + timedelta(days=_YEAR),
    )  # fmt: skip


def _begin(text: str, today: date) -> tuple[date, bool]:
    """The first day that is shown, and whether it was asked for."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today, False
    return min(max(day, today), today + timedelta(days=_YEAR)), True


def _by_day(found: Sequence[Time], begin: date) -> list[tuple[date, list[Time]]]:
    times = {day: list(each) for day, each in groupby(found, key=lambda each: each.start.date())}
    return [(day, times.get(day, [])) for day in (begin + timedelta(days=number) for number in range(_WEEK))]


def _nearest(refused: Refused | None) -> list[Time]:
    """The other times that a refusal comes with."""
    return [free.time_of(each) for each in (refused.contained if refused else ())]


def _link(slug: str) -> Callable[..., str]:
    def link(wanted: Wanted, **more: str) -> str:
        return f"/t/{slug}/ui/booking/times?{urlencode(wanted.query(**more))}"

    return link
