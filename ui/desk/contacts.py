"""Phone numbers, languages and kin as the desk writes them down."""

import phonenumbers

from ui.patient_search import region
from ui.texts import say

LANGUAGES = ("fr", "ar", "en", "es", "wo")
# https://terminology.hl7.org/CodeSystem/v3-RoleCode
KIN = ("MTH", "FTH", "SPS", "CHILD", "SIB", "GUARD", "GRPRN", "FRND", "O")
KIN_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def languages() -> list[tuple[str, str]]:
    """Languages that patients speak, each in its own words."""
    names = {"fr": "Français", "ar": "العربية", "en": "English", "es": "Español", "wo": "Wolof"}
    return [(code, names[code]) for code in LANGUAGES]


def kin() -> list[tuple[str, str]]:
    """How somebody is related."""
    names = {
        "MTH": say("Mother"), "FTH": say("Father"), "SPS": say("Spouse"), "CHILD": say("Child"),
        "SIB": say("Brother or sister"), "GUARD": say("Guardian"), "GRPRN": say("Grandparent"), "FRND": say("Friend"),
        "O": say("Other person"),
    }  # fmt: skip
    return [(code, names[code]) for code in KIN]


def e164(text: str) -> str:
    """A phone number in full; "" for one that cannot exist. One without a country's code is of the clinic's country."""
    try:
        parsed = phonenumbers.parse(text, region() or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def phone_problem(text: str) -> str:
    """What is wrong with a phone number, in a sentence; "" when nothing is."""
    if not text or e164(text):
        return ""
    if not region() and not text.startswith("+"):
        return say("Write the number with its country code, such as +212.")
    return say("This phone number cannot exist. Please check it.")
