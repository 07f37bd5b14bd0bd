"""What a guest says about himself, checked; and the Patient that is made of it once his address is proved."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Invalid
from fhir_server.features.notifications.code_messages import Place, carried
from fhir_server.features.notifications.options import options
from fhir_server.features.scheduling import contacts
from fhir_server.features.scheduling.fields import Resource, instant
from fhir_server.security.accounts import clean_name

REGISTRATION = "urn:salam:CodeSystem:registration"
SELF_REGISTERED = "self-registered"
TERMS = "urn:salam:policy:terms"
LANGUAGES = ("fr", "en", "es", "ar")
_LONGEST_NAME = 100
_LONGEST_COMMENT = 1000
_OLDEST = 130


class Words(msgspec.Struct, frozen=True):
    """Who a guest says he is. `channel`, `address`: where the code went; `comment`: what the clinic should know."""

    given: str
    family: str
    birth_date: str
    gender: str
    language: str
    channel: str
    address: str
    comment: str = ""

    @property
    def place(self) -> Place:
        """Where the code went."""
        return Place(self.channel, self.address)

    @property
    def name(self) -> str:
        """The name in one line."""
        return f"{self.given} {self.family}"


def words(ctx: Context, given: Mapping[str, Any]) -> Words:
    """The parameters of $register. Raises `Invalid` with an issue for each that is wrong."""
    issues = []
    found: dict[str, str] = {}
    for name, check in (("given", _name), ("family", _name), ("birthDate", _birth_date), ("language", _language)):
        try:
            found[name] = check(ctx, name, given.get(name, ""))
        except FhirError as error:
            issues += error.issues
    place = Place("", "")
    try:
        place = _place(ctx, given)
    except FhirError as error:
        issues += error.issues
    if not given.get("consent"):
        issues += _wrong("consent", "The terms must be agreed to.", "required").issues
    if issues:
        raise Invalid(issues=issues)
    return Words(
        found["given"], found["family"], found["birthDate"], given.get("gender", ""), found["language"],
        place.channel, place.address, given.get("comment", "").strip()[:_LONGEST_COMMENT],
    )  # fmt: skip


def patient_of(said: Words, now: datetime) -> Resource:
    """The Patient of a person who registered himself. Who he is was proved by nobody; the address was, by him."""
    system = "email" if said.channel == "email" else "phone"
    point: Resource = {"system": system, "value": said.address, "rank": 1, "period": {"start": instant(now)}}
    if system == "phone":
        point["use"] = "mobile"
    made: Resource = {
        "resourceType": "Patient",
        "meta": {"tag": [{"system": REGISTRATION, "code": SELF_REGISTERED}]},
        "active": True,
        "name": [{"use": "official", "family": said.family, "given": [said.given]}],
        "telecom": [point],
        "birthDate": said.birth_date,
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": said.language}]}, "preferred": True}
        ],
    }
    if said.gender:
        made["gender"] = said.gender
    return made


def agreement_of(patient_id: str, now: datetime) -> Resource:
    """The record that a person registered himself and agreed to the terms."""
    who = {"reference": f"Patient/{patient_id}"}
    return {
        "resourceType": "Provenance",
        "target": [who],
        "recorded": instant(now),
        "policy": [TERMS],
        "activity": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}]
        },
        "agent": [{"who": who}],
    }


def is_same(said: Words, patient: Resource) -> bool:
    """Whether a patient of the same address is the person: born on the same day, and of the same given or family name
    (families share telephones, not both)."""
    if patient.get("birthDate") != said.birth_date:
        return False
    known = {_folded(part) for name in patient.get("name", ()) for part in name.get("given", ())}
    families = {_folded(name.get("family", "")) for name in patient.get("name", ())}
    return _folded(said.given) in known and _folded(said.family) in families


def _folded(text: str) -> str:
    return " ".join(clean_name(text).casefold().split())


def _name(ctx: Context, name: str, text: str) -> str:
    found = clean_name(text)
    if not found or not any(each.isalpha() for each in found):
        raise _wrong(name, "A name is needed.", "required")
    if len(found) > _LONGEST_NAME:
        raise _wrong(name, f"A name has {_LONGEST_NAME} characters at most.")
    return found


def _birth_date(ctx: Context, name: str, text: str) -> str:
    try:
        born = date.fromisoformat(text)
    except ValueError:
        raise _wrong(name, "The whole date of birth is needed: year-month-day.") from None
    today = ctx.now.astimezone(ZoneInfo(ctx.tenant.zone)).date()
    if born > today or born.year < today.year - _OLDEST:
        raise _wrong(name, "This cannot be the date of birth.")
    return born.isoformat()


def _language(ctx: Context, name: str, text: str) -> str:
    code = text.split("-")[0].lower()
    return code if code in LANGUAGES else ctx.tenant.language or LANGUAGES[0]


def _place(ctx: Context, given: Mapping[str, Any]) -> Place:
    phone, email = given.get("phone", "").strip(), given.get("email", "").strip()
    if bool(phone) == bool(email):
        raise _wrong("phone" if not phone else "email", "One address is needed: a mobile number or e-mail.", "required")
    place = contacts.email_place(email) if email else contacts.phone_place(phone, options(ctx.tenant).region)
    if not carried(ctx.tenant, place.channel):
        raise _wrong("phone", "Codes are not sent by SMS here: give an e-mail address.", "not-supported")
    return place


def _wrong(name: str, text: str, code: str = "value") -> Invalid:
    return Invalid(text, expression=f"http.{name}", code=code)
