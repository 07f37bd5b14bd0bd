"""Whether a patient's record may be erased yet: rules of countries, as data (profiles/security/retention.json).

The rules say the earliest day. They are evaluated when somebody proposes an erasure; nothing is ever erased by itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parents[2] / "profiles" / "security" / "retention.json"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says. `earliest`: the first day on which the record may be erased; `certainty`: statute, guidance,
    own (the tenant's setting) or unknown."""

    earliest: date
    country: str
    certainty: str
    source: str

    def allows(self, today: date) -> bool:
        """Whether the record may be erased on that day."""
        return today >= self.earliest


@lru_cache(maxsize=1)
def packs() -> Mapping[str, Any]:
    """The rules by country code; `default` for all others."""
    found: Mapping[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["countries"]
    return found


def judge(country: str, own_years: int | None, *, born: date | None, died: date | None, last_seen: date) -> Verdict:
    """The rule for a patient's record. `own_years` is the tenant's own period; it replaces a rule that is not law, and
    else can only lengthen it. A patient without a date of birth counts as born when last seen."""
    known = country if country in packs() else "default"
    rule = packs()[known]["record"]
    certainty, source, years = rule["certainty"], rule["source"], rule["years"]
    if own_years is not None and (certainty != "statute" or own_years > years):
        certainty, source, years = "own", "The tenant's setting retention_years.", own_years
    earliest = max(_later(last_seen, years), _later(born or last_seen, rule["not_before_age"]))
    death = rule.get("death")
    if death and died is not None and died <= _later(last_seen, death["when_within_years"]):
        earliest = _later(died, death["years"])
    return Verdict(earliest, known, certainty, source)


def day_of(text: object, *, last: bool) -> date | None:
    """The first or last day that a FHIR date or dateTime can mean; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        parts = [int(part) for part in text[:10].split("-")]
        if len(parts) == 3:
            return date(*parts)
        year, month = parts[0], parts[1] if len(parts) > 1 else 12 if last else 1
        if not last:
            return date(year, month, 1)
        return (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    except (ValueError, TypeError, OverflowError):
        return None


def _later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        # The 29th of February, or the end of the calendar.
        return date.max if day.year + years > 9999 else date(day.year + years, 3, 1)
