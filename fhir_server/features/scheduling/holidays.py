"""Public holidays of a country, as days on which nobody works. Those of the lunar calendar are estimates: correct them
with `extra` and `closed` of the scheduling parameters. https://holidays.readthedocs.io/"""

from functools import lru_cache

import holidays

from fhir_server.features.scheduling.hours import day_of

_SUPPORTED = frozenset(holidays.list_supported_countries(include_aliases=False))


def known(country: str) -> bool:
    """Whether the holidays of a country (ISO 3166-1 alpha-2) are known here."""
    return country in _SUPPORTED


def public_holidays(country: str, first: int, last: int) -> list[int]:
    """The holidays of a known country among the days `first` to `last` (days since 1970, both included), sorted."""
    years = range(1970 + first // 366, 1970 + last // 365 + 1)
    return [day for year in years for day in _of_year(country, year) if first <= day <= last]


@lru_cache(maxsize=512)
def _of_year(country: str, year: int) -> tuple[int, ...]:
    return tuple(sorted(day_of(day) for day in holidays.country_holidays(country, years=year)))
