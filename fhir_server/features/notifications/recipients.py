"""Who is told, and how each can be reached."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import phonenumbers

from fhir_server.core.context import Context
from fhir_server.core.keys import self_key
from fhir_server.features.notifications import facts, languages, preferences
from fhir_server.features.notifications.kinds import Kind, rules
from fhir_server.features.notifications.options import Options, options
from fhir_server.features.notifications.preferences import Wishes
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.storage import push_subscriptions

_MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
_ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_STAFF = frozenset({"Practitioner", "PractitionerRole"})


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to tell. name: `Type/id`; languages: to try, the best first; phone: E.164 of a mobile, or ""; zone: in
    which quiet hours count; wishes: what the person wants."""

    name: str
    person: Mapping[str, Any]
    languages: tuple[str, ...]
    zone: tzinfo
    phone: str
    email: str
    push: bool
    wishes: Wishes

    @property
    def is_staff(self) -> bool:
        """Whether it is a professional."""
        return self.name.split("/")[0] in _STAFF

    def address(self, channel: str) -> str | None:
        """Where messages through this channel go, "" for channels that go by the person; None: nowhere."""
        if channel in ("sms", "whatsapp"):
            return self.phone or None
        if channel == "email":
            return self.email or None
        return "" if channel == "in-app" or self.push else None


def of_people(ctx: Context, names: Iterable[str]) -> list[Recipient]:
    """The patients and relatives to tell for these participants, each once, in order.

    For a child it is those who care for it, unless one of them takes part; and the child's own record where none is
    known, because it then holds the family's number.
    """
    wanted = list(dict.fromkeys(names))
    found = stored.by_name(ctx, wanted)
    reached = {name: found[name] for name in wanted if name in found and facts.may_be_told(found[name], ctx.now)}
    related = any(name.startswith("RelatedPerson/") for name in reached)
    told: dict[str, Mapping[str, Any]] = {}
    for name, person in reached.items():
        minor = facts.is_minor(person, ctx.now.astimezone(facts.zone_of_person(person, ctx.tenant)).date(), _adult())
        if not (minor and name.startswith("Patient/")):
            told[name] = person
        elif not related:
            told.update(_guardians(ctx, name) or {name: person})
    return [recipient(ctx, name, person) for name, person in told.items()]


def of_staff(ctx: Context, names: Iterable[str]) -> list[Recipient]:
    """The professionals; a PractitionerRole counts as its Practitioner."""
    wanted = list(dict.fromkeys(names))
    found = stored.by_name(ctx, wanted)
    persons: dict[str, None] = {}
    for name in wanted:
        resource = found.get(name, {})
        values = [resource.get("practitioner", {})] if resource.get("resourceType") == "PractitionerRole" else []
        persons.update(dict.fromkeys(facts.references(values, ctx.base) if values else [name]))
    missing = [name for name in persons if name not in found]
    found |= stored.by_name(ctx, missing) if missing else {}
    alive = {name: found[name] for name in persons if name in found and facts.may_be_told(found[name], ctx.now)}
    return [recipient(ctx, name, person) for name, person in alive.items()]


def recipient(ctx: Context, name: str, person: Mapping[str, Any]) -> Recipient:
    """A person with addresses and wishes as they are now."""
    phone = _phone(person, ctx, options(ctx.tenant).region)
    email = _email(person, ctx)
    kind, id_ = name.split("/")
    return Recipient(
        name=name,
        person=person,
        languages=languages.of(person, ctx.tenant),
        zone=facts.zone_of_person(person, ctx.tenant),
        phone=phone,
        email=email,
        push=bool(push_subscriptions.of_person(ctx.db, ctx.tenant.id, self_key(kind, id_))),
        wishes=preferences.wishes(ctx, name, [phone, email]),
    )


def ways(
    who: Recipient, kind: Kind, chosen: Options, order: Sequence[str] | None = None, tried: Collection[str] = ()
) -> list[tuple[str, str]]:
    """(channel, address) by which a message of this kind can and may go to the person, the best first; in-app is not
    among them. order: instead of the kind's own, for this occasion."""
    allowed = kind.order if order is None else order
    found = []
    for channel in chosen.order:
        address = who.address(channel)
        possible = channel in allowed and channel in chosen.channels and channel not in tried
        if channel == "whatsapp":
            # Who did not write to the clinic within a day can be sent approved templates only (Twilio error 63016).
            possible = possible and any(f"{kind.code}.{language}" in chosen.approved for language in who.languages)
        if possible and address is not None and who.wishes.wants(kind.code, channel, address):
            found.append((channel, address))
    return found


def _guardians(ctx: Context, patient: str) -> dict[str, Mapping[str, Any]]:
    """Those who care for a child, by its RelatedPersons' relationship."""
    system = as_server(ctx)
    related = stored.find(system, "RelatedPerson", [("patient", patient)], limit=20)
    codes = rules()["guardians"]
    return {
        f"RelatedPerson/{person['id']}": person
        for person in related
        if facts.may_be_told(person, ctx.now) and any(code in codes for code in _relationships(person))
    }


def _relationships(person: Mapping[str, Any]) -> list[str]:
    codings = [coding for concept in person.get("relationship", ()) for coding in concept.get("coding", ())]
    return [str(coding.get("code")) for coding in codings if coding.get("system") in (_ROLE, None)]


def _phone(person: Mapping[str, Any], ctx: Context, region: str) -> str:
    """The mobile number for messages, in E.164: the best ranked that is valid."""
    for point in _telecom(person, ctx, ("sms", "phone")):
        try:
            number = phonenumbers.parse(str(point.get("value", "")), region or None)
        except phonenumbers.NumberParseException:
            continue
        mobile = point.get("use") == "mobile" or phonenumbers.number_type(number) in _MOBILE
        if mobile and phonenumbers.is_valid_number(number):
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return ""


def _email(person: Mapping[str, Any], ctx: Context) -> str:
    for point in _telecom(person, ctx, ("email",)):
        value = str(point.get("value", "")).strip()
        local, _, domain = value.rpartition("@")
        if local and "." in domain and value.isprintable() and not set(value) & set(' ,;<>"'):
            return value
    return ""


def _telecom(person: Mapping[str, Any], ctx: Context, systems: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """Contact points of these systems that hold now: as ranked, mobiles before others."""
    points = [
        point
        for point in person.get("telecom", ())
        if point.get("system") in systems
        and point.get("use") != "old"
        and facts.in_period(point.get("period", {}), ctx.now)
    ]
    return sorted(points, key=lambda point: (point.get("rank", 99), point.get("use") != "mobile"))


def _adult() -> int:
    return int(rules()["adult_age"])
