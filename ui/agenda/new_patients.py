"""A patient who is not known yet: the little that a booking needs."""

import re
from collections.abc import Mapping
from datetime import date

from ui import page
from ui.fhir import Resource
from ui.texts import say

_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{5,20}\Z")


def patient_errors(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with what was typed, by field."""
    errors = {}
    if not values.get("family"):
        errors["family"] = say("Enter the family name.")
    if not values.get("given"):
        errors["given"] = say("Enter the given name.")
    if values.get("phone") and not _PHONE.match(values["phone"]):
        errors["phone"] = say("This is not a phone number.")
    if values.get("birth") and not _is_birth(values["birth"]):
        errors["birth"] = say("Enter a date of the past.")
    return errors


def _is_birth(text: str) -> bool:
    try:
        return date(1880, 1, 1) <= date.fromisoformat(text) <= page.today()
    except ValueError:
        return False


def new_patient(values: Mapping[str, str]) -> Resource:
    """The Patient that $book creates along with the visit."""
    patient: Resource = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": values["family"], "given": values["given"].split()}],
    }
    if values.get("phone"):
        patient["telecom"] = [{"system": "phone", "value": values["phone"], "use": "mobile"}]
    if values.get("birth"):
        patient["birthDate"] = values["birth"]
    return patient
