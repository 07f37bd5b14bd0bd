"""How names, dates, money and the like are written for people, in the language of the request and the clinic's zone."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal
from flask import g

from fhir_server.core import clock, dates
from ui.texts import language, ngettext, say

_MONTHS = 24
# ISO 4217 for "no currency".
_NO_CURRENCY = "X" * 3


def country_of_clinic() -> str:
    """The country in which the clinic is, whose way to write numbers counts (`MA`); "" where it is not known."""
    if "tenant" not in g:
        return ""
    own = g.tenant.settings
    return str((own.get("notifications") or {}).get("phone_region") or own.get("country") or "").upper()


def locale() -> Locale:
    """The language with the country of the clinic, where both together are known: for money and numbers. Dates are
    written as the language alone does it: Morocco's French has "jui." for June beside "juil." for July."""
    return _locale(language(), country_of_clinic())


@lru_cache(maxsize=64)
def _locale(language: str, country: str) -> Locale:
    try:
        return Locale.parse(f"{language}_{country}" if country else language)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(language)


def of_dates() -> Locale:
    """The language for dates; Arabic with the country, whose months have names of their own."""
    return locale() if language() == "ar" else _locale(language(), "")


# -- people ------------------------------------------------------------------------------------------------------------


def person(names: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None) -> str:
    """A HumanName, or the one to use of several: `Sara ALAMI`. "" for none. Also of a resource with names."""
    if isinstance(names, Mapping):
        names = names["name"] if isinstance(names.get("name"), list) else [names]
    usable = [each for each in names or () if each.get("use") not in ("old", "maiden")] or list(names or ())
    if not usable:
        return ""
    order = {"official": 0, "usual": 1}
    name = min(usable, key=lambda each: order.get(str(each.get("use", "")), 2))
    parts = [*name.get("prefix", ()), *name.get("given", ()), str(name.get("family", "")).upper()]
    return " ".join(part for part in parts if part) or str(name.get("text", ""))


def initials(names: Sequence[Mapping[str, Any]] | None) -> str:
    """The first letters of given and family name."""
    name = next(iter(names or ()), {})
    parts = [*name.get("given", ())[:1], name.get("family", "")]
    return "".join(part[0].upper() for part in parts if part)


def age(birth_date: str | None) -> str:
    """The age today: `34 years`, and of small children in months. "" when it is not known."""
    if not birth_date:
        return ""
    from ui.page import today

    parts = [int(part) for part in birth_date.split("-")]
    now = today()
    if len(parts) == 1:
        return ngettext("%(count)s year", "%(count)s years", now.year - parts[0])
    months = (now.year - parts[0]) * 12 + now.month - parts[1] - int(len(parts) > 2 and now.day < parts[2])
    if months < _MONTHS:
        return ngettext("%(count)s month", "%(count)s months", max(months, 0))
    return ngettext("%(count)s year", "%(count)s years", months // 12)


def phone(number: str) -> str:
    """A telephone number as people read it; as it was written when it is none."""
    try:
        country = country_of_clinic() or None
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return number
    own = phonenumbers.region_code_for_number(parsed) == country
    form = phonenumbers.PhoneNumberFormat.NATIONAL if own else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return str(phonenumbers.format_number(parsed, form))


def telecom(resource: Mapping[str, Any], system: str) -> str:
    """The first contact of a kind (`phone`, `email`) that is not an old one; "" for none."""
    for each in resource.get("telecom", ()):
        if each.get("system") == system and each.get("use") != "old" and each.get("value"):
            return str(each["value"])
    return ""


# -- time --------------------------------------------------------------------------------------------------------------


def moment_of(value: str | datetime) -> datetime:
    """A FHIR instant or dateTime as a moment in the clinic's zone; of a date, month or year its beginning."""
    from ui.page import zone

    if isinstance(value, str):
        return dates.moment(value, zone())
    return dates.in_zone(value if value.tzinfo else value.replace(tzinfo=zone()), zone())


def _date_of(value: str | date | datetime) -> date:
    if isinstance(value, str):
        return moment_of(value).date() if "T" in value else date.fromisoformat((value + "-01-01")[:10])
    return moment_of(value).date() if isinstance(value, datetime) else value


def day(value: str | date | datetime) -> str:
    """A day with its weekday: `lundi 24 novembre 2026`."""
    return format_date(_date_of(value), "full", locale=of_dates())


def short_day(value: str | date | datetime) -> str:
    """A day in few characters: `lun. 24 nov.`."""
    return format_date(_date_of(value), "EEE d MMM", locale=of_dates())


def date_of(value: str | date | datetime | None) -> str:
    """A date: `24 nov. 2026`; partial dates as they are known. "" for none."""
    if not value:
        return ""
    if isinstance(value, str) and "T" not in value:
        pattern = {4: "y", 7: "MMM y"}.get(len(value), "d MMM y")
        return format_date(_date_of(value if len(value) != 7 else f"{value}-01"), pattern, locale=of_dates())
    return format_date(_date_of(value), "d MMM y", locale=of_dates())


def time(value: str | datetime | None) -> str:
    """The time of day at the clinic: `09:30`. "" for none, and for a date without it."""
    if not value or (isinstance(value, str) and "T" not in value):
        return ""
    return f"{moment_of(value):%H:%M}"


def moment(value: str | datetime | None) -> str:
    """Day and time: `lun. 24 nov., 09:30`; only the date where there is no time. "" for none."""
    if not value:
        return ""
    if isinstance(value, str) and "T" not in value:
        return date_of(value)
    found = moment_of(value)
    pattern = "EEE d MMM, HH:mm" if found.year == clock.now().year else "d MMM y, HH:mm"
    pattern = pattern.replace(",", "،") if language() == "ar" else pattern
    return format_datetime(found, pattern, tzinfo=found.tzinfo, locale=of_dates())


def since(value: str | datetime) -> str:
    """How long ago: `12 min`."""
    return format_timedelta(clock.now().astimezone(UTC) - moment_of(value), format="short", locale=of_dates())


def minutes_range(low: int, high: int) -> str:
    """A range of minutes in words: `between 20 and 35 min`."""
    if high <= 0:
        return say("in a moment")
    if low == high:
        return say("about %(high)s min", high=high)
    return say("between %(low)s and %(high)s min", low=low, high=high)


# -- values ------------------------------------------------------------------------------------------------------------


def money(value: Mapping[str, Any] | None) -> str:
    """A Money with its currency's digits: `250,00 MAD`. "" for none."""
    if not value or value.get("value") is None:
        return ""
    currency = str(value.get("currency") or _NO_CURRENCY)
    try:
        return format_currency(Decimal(str(value["value"])), currency, locale=locale())
    except (ArithmeticError, ValueError):
        # FHIR's decimals have no greatest one.
        return f"{value['value']} {value.get('currency', '')}".strip()


def number(value: Any) -> str:
    """A number with the digits it was written with."""
    try:
        given = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    exponent = given.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    try:
        return format_decimal(given, f"#,##0.{'0' * digits}" if digits else "#,##0", locale=locale())
    except (ArithmeticError, ValueError):
        return str(value)


def quantity(value: Mapping[str, Any] | None) -> str:
    """A Quantity: `72 /min`. "" for none."""
    if not value or value.get("value") is None:
        return ""
    sign = str(value.get("comparator", ""))
    return f"{sign}{number(value['value'])} {value.get('unit') or value.get('code', '')}".strip()


def coded(concept: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> str:
    """A CodeableConcept (or the first of several) in words. "" for none."""
    if isinstance(concept, Sequence):
        concept = next(iter(concept), None)
    if not concept:
        return ""
    if concept.get("text"):
        return str(concept["text"])
    codings = concept.get("coding", [concept] if "code" in concept else [])
    return str(next((each["display"] for each in codings if each.get("display")), "") or next(
        (each["code"] for each in codings if each.get("code")), ""
    ))  # fmt: skip


def code(concept: Mapping[str, Any] | None) -> str:
    """The first code of a CodeableConcept. "" for none."""
    return next((str(each["code"]) for each in (concept or {}).get("coding", ()) if each.get("code")), "")


def short_reference(value: Mapping[str, Any] | None) -> str:
    """What a Reference is shown as: its display, else `Type/id`."""
    return str((value or {}).get("display") or (value or {}).get("reference", ""))


def extension(resource: Mapping[str, Any], url: str) -> Mapping[str, Any]:
    """The extension of a url; an empty one where there is none."""
    return next((each for each in resource.get("extension", ()) if each.get("url") == url), {})


def slim(text: str, longest: int = 80) -> str:
    """A text on one line, cut to so many characters."""
    plain = re.sub(r"\s+", " ", text).strip()
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


FILTERS: dict[str, Callable[..., Any]] = {
    "person": person, "initials": initials, "age": age, "phone": phone, "telecom": telecom, "day": day,
    "short_day": short_day, "date_of": date_of, "time": time, "moment": moment, "since": since,
    "minutes_range": minutes_range, "money": money, "number": number, "quantity": quantity, "coded": coded,
    "code": code, "short_reference": short_reference, "extension": extension, "slim": slim,
}  # fmt: skip
