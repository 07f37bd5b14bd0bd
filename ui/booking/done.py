"""What was booked; and the wait list, where nothing was free."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from ui import fhir, page
from ui.booking import free
from ui.booking.catalogue import catalogue, mode_names
from ui.booking.place import bp, person
from ui.booking.times import wanted_of
from ui.booking.who import NOTHING
from ui.booking.whose import patients
from ui.fhir import Refused
from ui.texts import ngettext

_MODE = "urn:salam:StructureDefinition:service-mode"
_WEEKS = (2, 4, 8, 12)


@bp.get("/done/<id_>")
def done(slug: str, id_: str) -> ResponseReturnValue:
    """What was booked, with all that is needed on the day."""
    if person() is None:
        return browser.redirect(browser.login_url(slug, f"/t/{slug}/ui/booking/done/{id_}"))
    time = free.time_of(fhir.read(f"Appointment/{id_}"))
    return page.page("booking/done.html", time=time, signed_in=True, account="",
                     mode_words=mode_names(), timedelta=timedelta)  # fmt: skip


@bp.get("/done/<id_>/calendar.ics")
def calendar(slug: str, id_: str) -> ResponseReturnValue:
    """The visit for a calendar program."""
    answer = fhir.raw("GET", f"Appointment/{id_}/$ics", headers={"accept": "text/calendar"})
    if answer.status != 200:
        raise Refused(answer.status, {})
    headers = {"Content-Disposition": 'attachment; filename="rendez-vous.ics"'}
    return Response(answer.body, 200, headers, content_type="text/calendar; charset=utf-8")


@bp.get("/waitlist")
def waitlist(slug: str) -> ResponseReturnValue:
    """For whom and until when to wait for a time that becomes free."""
    return _waitlist(slug, "")


@bp.post("/waitlist")
def join(slug: str) -> ResponseReturnValue:
    """Join the wait list for `service` (and `doctor`) for some `weeks`."""
    if person() is None:
        return _waitlist(slug, "")
    wanted = wanted_of(request.form)
    weeks = request.form.get("weeks", "")
    until = page.today() + timedelta(weeks=int(weeks) if weeks.isdecimal() and int(weeks) in _WEEKS else _WEEKS[1])
    people = [wanted.patient, wanted.doctor, wanted.service]
    waiting: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "waitlist",
        "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in people if each],
        "requestedPeriod": [{"start": page.today().isoformat(), "end": until.isoformat()}],
    }
    if wanted.mode:
        waiting["extension"] = [{"url": _MODE, "valueCode": wanted.mode}]
    try:
        key = request.form.get("idempotency_key") or None
        fhir.call("Appointment/$join-waitlist", {"appointment-resource": waiting}, key=key)
    except Refused as error:
        if error.detail != "already-waiting":
            return _waitlist(slug, page.sentence(error), error.status)
    return page.page("booking/waiting.html", wanted=wanted, known=catalogue(), until=until)


def _waitlist(slug: str, problem: str, status: int = 200) -> Response:
    wanted = wanted_of(request.values)
    if not wanted.service:
        return page.see_other(f"/t/{slug}/ui/booking/")
    return page.page(
        "booking/waitlist.html", status=status, wanted=wanted, known=catalogue(), me=person(), people=patients(),
        problem=problem, nothing=NOTHING,
        weeks=[(str(n), ngettext("%(count)s week", "%(count)s weeks", n)) for n in _WEEKS],
        query=urlencode(wanted.query()), modes=mode_names(),
    )  # fmt: skip

