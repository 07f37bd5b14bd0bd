"""Patients by what somebody types: names, phone numbers, identifiers, dates of birth; the same in every room."""

import re
from collections.abc import Iterator, Sequence

import phonenumbers
from babel.core import get_global

from ui import birth_dates
from ui.page import tenant, today

_NUMBER = re.compile(r"[+(]?[0-9][0-9 .()/-]*\Z")
_MOST_WORDS = 6
_OLDEST = 1900


def conditions(text: str) -> Iterator[tuple[str, str]]:
    """The search for what somebody typed; nothing while it is too short to mean anybody."""
    plain = " ".join(text.split())
    if born := birth_dates.read(plain):
        yield "birthdate", born
        return
    if _NUMBER.match(plain):
        digits = re.sub(r"[^0-9]", "", plain)
        if len(digits) >= 3:
            yield "lookup", ",".join(numbers(digits, region()))
        return
    words = []
    for each in plain.split():
        if born := birth_dates.read(each):
            yield "birthdate", born
        elif each.isdecimal() and len(each) == 4 and _OLDEST <= int(each) <= today().year:
            yield "birthdate", str(int(each))
        elif any(letter.isalnum() for letter in each):
            words.append(each)
    if max(map(len, words), default=0) >= 2:
        yield named(words)


def named(words: Sequence[str]) -> tuple[str, str]:
    """The search for patients with all these words, or beginnings of them, in names or identifiers."""
    quoted = [re.sub(r'(["\\])', r"\\\1", each) for each in words[:_MOST_WORDS]]
    return "_filter", " and ".join(f'(name sw "{each}" or lookup sw "{each}")' for each in quoted)


def numbers(digits: str, country: str) -> list[str]:
    """How the beginning of a phone number or an identifier may be stored: as typed, and with the country's code."""
    found = [digits, digits[2:] if digits.startswith("00") else ""]
    if country and not digits.startswith("00"):
        # With and without the zero that most countries put before their own numbers.
        code = phonenumbers.country_code_for_region(country)
        found += [f"{code}{digits}", f"{code}{digits[1:]}" if digits.startswith("0") else ""]
    return [each for each in dict.fromkeys(found) if each]


def region() -> str:
    """The country (ISO 3166) whose phone numbers need no code here: the setting, else that of the time zone; "" for
    none."""
    chosen = (tenant().settings.get("notifications") or {}).get("phone_region", "")
    return str(chosen or get_global("zone_territories").get(tenant().zone, ""))


def escaped(text: str) -> str:
    """A value for a search, in which `,`, `|`, `$` and `\\` mean nothing. https://hl7.org/fhir/R4/search.html#escaping"""
    return re.sub(r"([\\,|$])", r"\\\1", text)
