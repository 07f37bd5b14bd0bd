"""What can be booked online, with whom and where: the public directory of the clinic in the words of the pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from babel import Locale, UnknownLocaleError
from flask import g

from ui import fhir, formats
from ui.booking.place import asking
from ui.texts import language, say

PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
_MODES = "urn:salam:CodeSystem:service-mode"
_CHANNELS = "urn:salam:code-channel"
# Names of specialties, as SNOMED CT displays them and people write them, that the catalogs translate.
_SPECIALTIES = frozenset({
    "General practice", "Cardiology", "Gynecology", "Pediatric specialty", "Pediatrics", "Endocrinology", "Dermatology",
    "Ophthalmology", "Psychiatry", "Neurology", "Gastroenterology", "Nephrology", "Pulmonary medicine", "Rheumatology",
    "Urology", "Orthopedics", "General surgery", "Dentistry", "Internal medicine", "Ear, nose and throat surgery",
    "Obstetrics and gynecology",
})  # fmt: skip
Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A Location. `reference`: `Location/id`."""

    reference: str
    name: str
    address: str
    city: str
    phone: str


@dataclass(frozen=True)
class Service:
    """A HealthcareService. `minutes`: how long; `token`: `system|code` of its type, "" for none; `modes`: codes;
    `specialty`: in words; `bring`: what the clinic says of it; `confirmed`: the clinic confirms each visit."""

    reference: str
    name: str
    minutes: int
    price: Resource | None
    modes: tuple[str, ...]
    token: str
    specialty: str
    about: str
    bring: str
    confirmed: bool
    cutoff: int

    @property
    def usual_mode(self) -> str:
        """The mode of who does not choose one."""
        return "on-site" if "on-site" in self.modes else next(iter(self.modes), "")


@dataclass(frozen=True)
class Doctor:
    """A Practitioner with what he gives. `services`: references; `places`: references."""

    reference: str
    name: str
    gender: str
    qualification: str
    languages: tuple[str, ...]
    services: tuple[str, ...]
    places: tuple[str, ...]
    specialty: str

    @property
    def id(self) -> str:
        """The id of the Practitioner."""
        return self.reference.partition("/")[2]


@dataclass
class Catalogue:
    """The directory. `channels`: by what codes are sent to visitors: sms, email."""

    services: dict[str, Service] = field(default_factory=dict)
    doctors: dict[str, Doctor] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    @cached_property
    def languages(self) -> list[tuple[str, str]]:
        """The languages that are spoken, with their names."""
        codes = {code for doctor in self.doctors.values() for code in doctor.languages}
        return sorted(((code, language_name(code)) for code in codes), key=lambda each: each[1])

    @cached_property
    def modes(self) -> list[tuple[str, str]]:
        """The modes in which something is given."""
        known = mode_names()
        return [(code, known[code]) for code in known if any(code in each.modes for each in self.services.values())]

    def who_gives(self, service: str) -> list[Doctor]:
        """Those who give a service."""
        return [doctor for doctor in self.doctors.values() if service in doctor.services]

    def services_of(self, doctor: Doctor) -> list[Service]:
        """What somebody gives, by name."""
        return [self.services[name] for name in doctor.services if name in self.services]


def catalogue() -> Catalogue:
    """The directory, read once for each request."""
    if "booking_catalogue" not in g:
        with asking():
            bundle = fhir.call("HealthcareService/$directory", method="GET")
        g.booking_catalogue = _made(bundle)
    found: Catalogue = g.booking_catalogue
    return found


def mode_names() -> dict[str, str]:
    """How visits take place, in words."""
    return {
        "on-site": say("At the clinic"), "video": say("By video"), "phone": say("By telephone"),
        "home": say("At home"), "hybrid": say("At the clinic or by video"),
    }  # fmt: skip


def mode_icon(code: str) -> str:
    """The icon of a mode."""
    return {"video": "camera-video", "phone": "telephone", "home": "house-door"}.get(code, "building")


def language_name(code: str) -> str:
    """A language in the language of the page."""
    try:
        return str(Locale.parse(code.split("-")[0]).get_display_name(language()) or code)
    except (UnknownLocaleError, ValueError):
        return code


def _made(bundle: Resource) -> Catalogue:
    resources = [each["resource"] for each in bundle.get("entry", ())]
    by_name = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    found = Catalogue()
    identifier = bundle.get("identifier", {})
    if identifier.get("system") == _CHANNELS:
        found.channels = tuple(str(identifier.get("value", "")).split())
    for name, each in by_name.items():
        if each["resourceType"] == "HealthcareService":
            found.services[name] = _service(name, each)
        elif each["resourceType"] == "Location":
            found.places[name] = _place(name, each)
    found.services = dict(sorted(found.services.items(), key=lambda each: each[1].name.casefold()))
    schedules = [each for each in resources if each["resourceType"] == "Schedule"]
    doctors = {name: each for name, each in by_name.items() if each["resourceType"] == "Practitioner"}
    made = [_doctor(name, each, schedules, found) for name, each in doctors.items()]
    found.doctors = {each.reference: each for each in sorted(made, key=lambda each: each.name.casefold())}
    return found


def _service(name: str, given: Resource) -> Service:
    said = {part["url"]: _value(part) for part in formats.extension(given, PARAMETERS).get("extension", ())}
    coding: Resource = next((each for concept in given.get("type", ()) for each in concept.get("coding", ())), {})
    modes = [
        each["code"]
        for concept in given.get("characteristic", ())
        for each in concept.get("coding", ())
        if each.get("system") == _MODES
    ]
    return Service(
        name, str(given.get("name", "")), int(said.get("duration", 30)), said.get("price"), tuple(modes),
        f"{coding.get('system', '')}|{coding['code']}" if coding.get("code") else "",
        _specialty(given), str(given.get("comment", "")), str(given.get("extraDetails", "")),
        bool(said.get("requiresConfirmation")), int(said.get("cancelCutoff", 0)),
    )  # fmt: skip


def _specialty(given: Resource) -> str:
    """A specialty in the language of the page, where its English name is one of the usual ones."""
    text = formats.coded(given.get("specialty"))
    return say(text) if text in _SPECIALTIES else text


def _value(part: Resource) -> Any:
    return next((value for name, value in part.items() if name.startswith("value")), None)


def _place(name: str, given: Resource) -> Place:
    address = given.get("address", {})
    lines = [*address.get("line", ()), " ".join(filter(None, (address.get("postalCode"), address.get("city"))))]
    text = address.get("text") or ", ".join(filter(None, lines))
    phone = formats.telecom(given, "phone")
    return Place(name, str(given.get("name", "")), str(text), str(address.get("city", "")), phone)


def _doctor(name: str, given: Resource, schedules: Iterable[Resource], found: Catalogue) -> Doctor:
    mine = [each for each in schedules if any(actor["reference"] == name for actor in each["actor"])]
    places = [actor["reference"] for each in mine for actor in each["actor"] if actor["reference"] in found.places]
    services = {
        part["valueReference"]["reference"]
        for each in mine
        for extension in each.get("extension", ())
        for part in extension.get("extension", ())
        if "valueReference" in part
    }
    specialties = [_specialty(each) for each in mine]
    specialties += [found.services[each].specialty for each in services if each in found.services]
    spoken = [coding["code"] for each in given.get("communication", ()) for coding in each.get("coding", ())]
    return Doctor(
        name, formats.person(given), str(given.get("gender", "")),
        next((formats.coded(each.get("code")) for each in given.get("qualification", ())), ""),
        tuple(dict.fromkeys(spoken)), tuple(each for each in found.services if each in services),
        tuple(dict.fromkeys(places)), next(filter(None, specialties), ""),
    )  # fmt: skip
