"""Free times as the pages show them: what $find proposes, and what somebody holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ui import fhir, formats, page
from ui.booking.catalogue import Catalogue, Doctor, Place, Service, catalogue
from ui.booking.place import asking

_E = "urn:salam:StructureDefinition:"
_BOOKING = "urn:salam:CodeSystem:booking"
_FURTHEST = 62


@dataclass(frozen=True)
class Time:
    """A time of a visit. `id`: of the proposal, or of the Appointment that holds or books it; `until`: until when it is
    held; `extended`: that was made longer already."""

    id: str
    status: str
    start: datetime
    end: datetime
    service: Service | None
    doctor: Doctor | None
    place: Place | None
    mode: str
    price: Mapping[str, Any] | None
    patients: tuple[str, ...] = ()
    until: datetime | None = None
    extended: bool = False
    comment: str = ""

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return int((self.end - self.start).total_seconds()) // 60

    @property
    def lapsed(self) -> bool:
        """Whether it was held, but not till now."""
        return self.until is not None and self.until <= page.now()

    @property
    def seconds_left(self) -> int:
        """For how long it is still held."""
        return 0 if self.until is None else max(0, int((self.until - page.now()).total_seconds()))


@dataclass(frozen=True)
class Wanted:
    """What is looked for, as references; "" for any. `patient`: who comes."""

    service: str = ""
    doctor: str = ""
    place: str = ""
    mode: str = ""
    patient: str = ""

    def query(self, **more: str) -> dict[str, str]:
        """As parameters of a page's address."""
        given = {"service": _id(self.service), "doctor": _id(self.doctor), "place": _id(self.place), "mode": self.mode}
        if self.patient:
            given["who"] = _id(self.patient)
        return {name: value for name, value in {**given, **more}.items() if value}


def _id(reference: str) -> str:
    return reference.partition("/")[2]


def time_of(appointment: Mapping[str, Any], known: Catalogue | None = None) -> Time:
    """What an Appointment says."""
    known = known or catalogue()
    names = [each.get("actor", {}).get("reference", "") for each in appointment.get("participant", ())]
    names = ["/".join(name.split("/")[-2:]) for name in names]
    until = formats.extension(appointment, f"{_E}hold-expires").get("valueInstant")
    tags = [each.get("code") for each in appointment.get("meta", {}).get("tag", ()) if each.get("system") == _BOOKING]
    service = next((known.services[name] for name in names if name in known.services), None)
    price = formats.extension(appointment, f"{_E}price").get("valueMoney")
    mode = formats.extension(appointment, f"{_E}service-mode").get("valueCode", "")
    return Time(
        appointment["id"], appointment["status"], formats.moment_of(appointment["start"]),
        formats.moment_of(appointment["end"]), service,
        next((known.doctors[name] for name in names if name in known.doctors), None),
        next((known.places[name] for name in names if name in known.places), None),
        mode or (service.modes[0] if service and len(service.modes) == 1 else ""),
        price or (service.price if service else None),
        tuple(name for name in names if name.startswith("Patient/")),
        formats.moment_of(until) if until else None, "hold-extended" in tags, str(appointment.get("comment", "")),
    )  # fmt: skip


def find(wanted: Wanted, start: date, days: int, count: int = 1000) -> list[Time]:
    """Free times from a day on, the soonest first; each start once."""
    known = catalogue()
    service = known.services.get(wanted.service)
    last = start + timedelta(days=min(days, _FURTHEST) - 1)
    asked = {
        "start": start.isoformat(), "end": last.isoformat(), "practitioner": wanted.doctor or None,
        "visit-type": service.token or None if service else None, "location-reference": wanted.place or None,
        "patient-reference": wanted.patient or None, "_count": count,
    }  # fmt: skip
    with asking():
        bundle = fhir.call("Appointment/$find", asked, method="GET")
    found = [each["resource"] for each in bundle.get("entry", ()) if each.get("search", {}).get("mode") == "match"]
    return _once(time_of(each, known) for each in found if _fits(time_of(each, known), wanted))


def _fits(time: Time, wanted: Wanted) -> bool:
    if time.service is None or (wanted.service and time.service.reference != wanted.service):
        return False
    return not wanted.mode or wanted.mode in time.service.modes


def _once(times: Iterable[Time]) -> list[Time]:
    """Each start once: the proposals come in the order of preference."""
    found: dict[datetime, Time] = {}
    for each in times:
        found.setdefault(each.start, each)
    return list(found.values())


def first(wanted: Wanted, after: date) -> Time | None:
    """The first free time within the next two months."""
    return next(iter(find(wanted, after, _FURTHEST, 20)), None)
