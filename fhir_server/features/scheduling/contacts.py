"""A person's own address for codes: a mobile number or an e-mail address, in the one form in which it is kept."""

import phonenumbers

from fhir_server.core.errors import Invalid
from fhir_server.features.notifications.code_messages import Place
from fhir_server.security.accounts import is_email, normal_email

_LONGEST = 254
_MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
# As people of the Maghreb may type them; phonenumbers reads the Arabic digits too, but not their marks.
_MARKS = str.maketrans("", "", "\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069")


def phone_place(text: str, region: str) -> Place:
    """A mobile number in E.164. `region`: country of a number without one. Raises `Invalid` for what is none."""
    try:
        number = phonenumbers.parse(text.translate(_MARKS)[:_LONGEST], region or None)
    except phonenumbers.NumberParseException:
        raise _wrong("phone", "This is no telephone number. Write it with its country: +212 6 12 34 56 78.") from None
    if not phonenumbers.is_valid_number(number):
        raise _wrong("phone", "There is no such telephone number. Write it with its country: +212 6 12 34 56 78.")
    if phonenumbers.number_type(number) not in _MOBILE:
        raise _wrong("phone", "A code can be sent to a mobile number only.")
    return Place("sms", str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)))


def email_place(text: str) -> Place:
    """An e-mail address, normalised. Raises `Invalid`."""
    address = normal_email(text[:1000])
    if len(address) > _LONGEST or not is_email(address) or "." not in address.rpartition("@")[2].strip("."):
        raise _wrong("email", "This is no e-mail address.")
    return Place("email", address)


def masked(place: Place) -> str:
    """An address as its owner knows it again and nobody else learns it: `+212 •••• 78`, `s•••@clinic.example`."""
    if place.channel == "email":
        name, _, domain = place.address.partition("@")
        return f"{name[:1]}•••@{domain}"
    number = phonenumbers.parse(place.address)
    return f"+{number.country_code} •••• {place.address[-2:]}"


def _wrong(name: str, text: str) -> Invalid:
    return Invalid(text, expression=f"http.{name}", code="value")
