"""Dates of birth as people type them: 24/11/1980, 24.11.1980, 11/1980, 1980, 1980-11-24."""

import re
from datetime import date

_DAY = re.compile(r"([0-9]{1,2})[/. -]([0-9]{1,2})[/. -]([0-9]{4})\Z")
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_RUN = re.compile(r"([0-9]{2})([0-9]{2})((?:19|20)[0-9]{2})\Z")
_MONTH = re.compile(r"([0-9]{1,2})/([0-9]{4})\Z")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}\Z")
_EASTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")


def read(text: str) -> str:
    """A whole date as FHIR date; "" for anything else. Digits without signs count as such only in registrations."""
    plain = text.strip().translate(_EASTERN)
    if found := _DAY.match(plain):
        return _valid(int(found[3]), int(found[2]), int(found[1]))
    if found := _ISO.match(plain):
        return _valid(int(found[1]), int(found[2]), int(found[3]))
    return ""


def read_partial(text: str) -> str:
    """A date, a month or a year as FHIR date; also `24111980`. "" for what is none."""
    plain = text.strip().translate(_EASTERN)
    if whole := read(plain):
        return whole
    if found := _RUN.match(plain):
        return _valid(int(found[3]), int(found[2]), int(found[1]))
    if found := _MONTH.match(plain):
        return f"{found[2]}-{int(found[1]):02}" if 1 <= int(found[1]) <= 12 else ""
    return plain if _YEAR.match(plain) else ""


def shown(born: str | None) -> str:
    """A FHIR date as it is typed: `24/11/1980`, `11/1980`, `1980`."""
    return "/".join(reversed((born or "").split("-"))) if born else ""


def _valid(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""
