"""Appointments as a patient reads them: when, with whom, where, and what can still be changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from ui import fhir, formats, page
from ui.fhir import Found, Resource
from ui.portal import whose

E = "urn:salam:StructureDefinition:"
PARAMETERS, QUEUE = f"{E}scheduling-parameters", f"{E}queue-configuration"
_HOLD, _MODE = f"{E}hold-expires", f"{E}service-mode"
_VIRTUAL = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService"
# What has a time and is still to come, or going on.
UPCOMING = ("proposed", "pending", "booked", "arrived", "checked-in")
CHANGEABLE = ("pending", "booked")
_INCLUDED = ["Appointment:actor"]
_MOST = 60


@dataclass(frozen=True, slots=True)
class Visit:
    """An Appointment with what it names. `people`: names of the professionals; `until`: when it can be changed online
    for the last time, None without such a limit; `offered_until`: when a wait list's offer ends."""

    resource: Resource
    people: tuple[str, ...] = ()
    service: Mapping[str, Any] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    practitioner: str = ""

    @property
    def id(self) -> str:
        """The Appointment's id."""
        return str(self.resource["id"])

    @property
    def status(self) -> str:
        """Appointment.status."""
        return str(self.resource.get("status", ""))

    @property
    def start(self) -> datetime:
        """When it begins; of one without time, the moment it was made."""
        return formats.moment_of(str(self.resource.get("start") or self.resource["meta"]["lastUpdated"]))

    @property
    def end(self) -> datetime:
        """When it ends."""
        given = self.resource.get("end")
        return formats.moment_of(str(given)) if given else self.start + timedelta(minutes=self.minutes or 30)

    @property
    def minutes(self) -> int:
        """How long it lasts; 0 where nobody said."""
        return int(self.resource.get("minutesDuration", 0))

    @property
    def has_time(self) -> bool:
        """Whether it stands at a time."""
        return "start" in self.resource

    @property
    def title(self) -> str:
        """What it is: the service's name, else the kind of visit."""
        return str(self.service.get("name") or formats.coded(self.resource.get("serviceType"))
                   or formats.coded(self.resource.get("specialty")))  # fmt: skip

    @property
    def mode(self) -> str:
        """on-site, video, phone, home or hybrid; "" where nobody said."""
        return str(formats.extension(self.resource, _MODE).get("valueCode", ""))

    @property
    def video(self) -> str:
        """The address of the video call; "" without one that a browser opens."""
        for each in formats.extension(self.resource, _VIRTUAL).get("extension", ()):
            address = str(each.get("valueUrl") or each.get("valueUri") or each.get("valueString") or "")
            if address.startswith(("https://", "http://")):
                return address
        return ""

    @property
    def address(self) -> str:
        """Where it is, on one line."""
        given = self.place.get("address", {})
        parts = [given.get("text")] if given.get("text") else [*given.get("line", ()), given.get("city")]
        return ", ".join(part for part in parts if part)

    @property
    def map_url(self) -> str:
        """A map of the place; "" where its position is not known and neither is its address."""
        at = self.place.get("position", {})
        if at.get("latitude") is not None and at.get("longitude") is not None:
            query = {"mlat": at["latitude"], "mlon": at["longitude"]}
            return f"https://www.openstreetmap.org/?{urlencode(query)}#map=17/{at['latitude']}/{at['longitude']}"
        return f"https://www.openstreetmap.org/search?{urlencode({'query': self.address})}" if self.address else ""

    @property
    def bring(self) -> str:
        """What the clinic asks to bring or to mind."""
        return str(self.resource.get("patientInstruction") or self.service.get("extraDetails") or "")

    @property
    def until(self) -> datetime | None:
        """When it can be cancelled or moved online for the last time."""
        cutoff = parameter(self.service, "cancelCutoff")
        return None if cutoff is None or not self.has_time else self.start - timedelta(minutes=int(cutoff))

    @property
    def can_change(self) -> bool:
        """Whether it may still be cancelled or moved online, as far as the page knows: the server decides."""
        last = self.until or self.start
        return self.status in CHANGEABLE and not self.offered_until and page.now() <= last

    @property
    def offered_until(self) -> datetime | None:
        """When the offer of the wait list that this is ends; None for what is no offer."""
        held = formats.extension(self.resource, _HOLD).get("valueInstant")
        is_open = self.status == "pending" and self.was_offer
        return formats.moment_of(held) if held and is_open else None

    @property
    def was_offer(self) -> bool:
        """Whether it came from the wait list."""
        named = [str(each.get("reference", "")) for each in self.resource.get("supportingInformation", ())]
        return any("Appointment/" in name for name in named)

    @property
    def is_over(self) -> bool:
        """Whether it is past, or will not be."""
        return self.status not in UPCOMING or self.end < page.now()

    @property
    def questionnaires(self) -> list[str]:
        """What the service asks before the visit: `Questionnaire/id`, or a canonical url."""
        return [str(part["valueReference"].get("reference", "")) for part in parts(self.service)
                if part.get("url") == "questionnaire" and "valueReference" in part]  # fmt: skip


def parts(service: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The parts of a service's scheduling parameters."""
    found: Sequence[Mapping[str, Any]] = formats.extension(service, PARAMETERS).get("extension", ())
    return found


def parameter(service: Mapping[str, Any], name: str) -> Any:
    """The value of one of a service's scheduling parameters; None where it is not said."""
    for part in parts(service):
        if part.get("url") == name:
            return next((value for key, value in part.items() if key.startswith("value")), None)
    return None


def visit_of(resource: Resource, named: Mapping[str, Resource]) -> Visit:
    """An Appointment with what of it is among `named` (by `Type/id`)."""
    people: list[str] = []
    service: Mapping[str, Any] = {}
    place: Mapping[str, Any] = {}
    practitioner = ""
    for each in resource.get("participant", ()):
        actor = each.get("actor", {})
        reference = "/".join(str(actor.get("reference", "")).split("/")[-2:])
        kind, target = reference.partition("/")[0], named.get(reference, {})
        if kind in ("Practitioner", "PractitionerRole"):
            people.append(formats.person(target.get("name")) if kind == "Practitioner" and target.get("name")
                          else str(actor.get("display", "")))  # fmt: skip
            practitioner = practitioner or (reference if kind == "Practitioner" else "")
        elif kind == "HealthcareService":
            service = target or {"name": actor.get("display", "")}
        elif kind == "Location" and not place:
            place = target or {"name": actor.get("display", "")}
    return Visit(resource, tuple(name for name in people if name), service, place, practitioner)


def visits_of(found: Found) -> list[Visit]:
    """The Appointments of a search that included who takes part."""
    named = found.by_reference
    return [visit_of(each, named) for each in found.of("Appointment")]


def query(**given: Any) -> dict[str, Any]:
    """The search for the open patient's Appointments with what they name."""
    return {"patient": whose.patient(), "_include": _INCLUDED, "_count": _MOST, **given}


def upcoming_query() -> dict[str, Any]:
    """The search for what is to come, the next first."""
    return query(date=page.of_today()[0], status=",".join(UPCOMING), _sort="date")


def cancelled_query() -> dict[str, Any]:
    """The search for what was to come and is cancelled."""
    begin = page.now().isoformat(timespec="seconds")
    return query(date=f"ge{begin}", status="cancelled", _sort="date", _count=10)


def waiting_query() -> dict[str, Any]:
    """The search for what the patient is on the wait list for."""
    return query(status="waitlist", _sort="-_lastUpdated")


def to_come(visits: Iterable[Visit]) -> list[Visit]:
    """Those that are not over and no offers, the next first."""
    return sorted((each for each in visits if not each.is_over and each.offered_until is None), key=_start)


def offers(visits: Iterable[Visit]) -> list[Visit]:
    """The open offers of the wait list, the one that ends first, first."""
    now = page.now()
    open_ = [each for each in visits if (each.offered_until or now) > now]
    return sorted(open_, key=lambda each: each.offered_until or now)


def _start(visit: Visit) -> datetime:
    return visit.start


def read(id_: str) -> Visit:
    """One of the open patient's appointments. Raises `Refused` (404) for any other."""
    found = fhir.search("Appointment", {"_id": id_, "patient": whose.patient(), "_include": _INCLUDED})
    visits = visits_of(found)
    if not visits:
        raise whose.Missing
    return visits[0]


def clinic_phone(visit: Visit) -> str:
    """Whom to call about it: the place's number, else that of the organization that gives the service."""
    for given in (visit.place, visit.service):
        if number := formats.telecom(given, "phone"):
            return number
    reference = str(visit.service.get("providedBy", visit.place.get("managingOrganization", {})).get("reference", ""))
    if reference.startswith("Organization/"):
        try:
            return formats.telecom(fhir.read(reference), "phone")
        except fhir.Refused:
            return ""
    return str((page.tenant().settings.get("notifications") or {}).get("phone", ""))
