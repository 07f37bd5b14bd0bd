"""Another time for an appointment: the free times of the same service, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, formats, page
from ui.fhir import Refused
from ui.portal import visits
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.portal.visits import Visit

_DAYS, _MOST = 7, 400


@dataclass(frozen=True, slots=True)
class Time:
    """A free time. `with_`: `Practitioner/id`."""

    start: datetime
    with_: str
    name: str

    @property
    def value(self) -> str:
        """It as the value of a button."""
        return f"{self.start.isoformat(timespec='seconds')}~{self.with_}"


@bp.get("/visits/<id_>/move")
def times(slug: str, id_: str) -> ResponseReturnValue:
    """Free times to move to. `from`: the first day; `with=anybody`: of every professional; `to`: the chosen time."""
    return _shown(visits.read(id_), request.args.get("to", ""))


@bp.post("/visits/<id_>/move")
def move(slug: str, id_: str) -> ResponseReturnValue:
    """Move the appointment to the chosen time (`to`)."""
    visit = visits.read(id_)
    chosen = _chosen(request.form.get("to", ""))
    if chosen is None:
        return _shown(visit, "")
    given: dict[str, Any] = {"start": fhir.instant(chosen.start)}
    if chosen.with_ and chosen.with_ != visit.practitioner:
        given["practitioner"] = fhir.reference(chosen.with_)
    try:
        fhir.call(f"Appointment/{id_}/$reschedule", given, key=request.form.get("idempotency_key"))
    except Refused as error:
        if error.status in (404, 410):
            raise
        return _shown(visit, "", problem=page.sentence(error))
    return page.see_other(f"/t/{slug}/ui/portal/visits/{id_}?done=moved")


def _shown(visit: Visit, to: str, problem: str = "") -> ResponseReturnValue:
    anybody = request.values.get("with") == "anybody"
    first = max(_day(request.values.get("from", "")), page.today())
    days: dict[date, list[Time]] = {}
    if visit.can_change:
        for each in _free(visit, first, anybody):
            days.setdefault(each.start.date(), []).append(each)
    return shown(
        "move.html", visit=visit, days=days, first=first, later=first + timedelta(days=_DAYS),
        sooner=first - timedelta(days=_DAYS) if first > page.today() else None, anybody=anybody,
        chosen=_chosen(to), problem=problem, phone=visits.clinic_phone(visit),
    )  # fmt: skip


def _free(visit: Visit, first: date, anybody: bool) -> Sequence[Time]:
    """The free times of a week, without the appointment's own."""
    params: list[tuple[str, Any]] = [
        ("start", max(_midnight(first), page.now()).isoformat(timespec="seconds")),
        ("end", (first + timedelta(days=_DAYS - 1)).isoformat()),
        ("_count", _MOST),
    ]
    if visit.practitioner and not anybody:
        params.append(("practitioner", visit.practitioner))
    for concept in visit.service.get("type", ())[:1]:
        params += [("visit-type", f"{each.get('system', '')}|{each['code']}") for each in concept.get("coding", ())[:1]]
    answer = fhir.call("Appointment/$find", params, method="GET")
    found = []
    for entry in answer.get("entry", ()):
        resource = entry["resource"]
        if resource["resourceType"] != "Appointment":
            continue
        proposal = visits.visit_of(resource, {})
        if proposal.start != visit.start:
            found.append(Time(proposal.start, proposal.practitioner, ", ".join(proposal.people)))
    return found


def _chosen(text: str) -> Time | None:
    start, _, with_ = text.partition("~")
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        return None
    valid = moment.tzinfo is not None and (not with_ or with_.startswith(("Practitioner/", "PractitionerRole/")))
    return Time(formats.moment_of(moment), with_, "") if valid else None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return page.today()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=page.zone())
