"""Code systems whose codes are made by a rule instead of listed.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from fhir_server.core import ucum

Rule = Callable[[str], bool | None]

_LANGUAGE = re.compile(
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(?:-[A-WY-Za-wy-z0-9](?:-[A-Za-z0-9]{2,8})+)*"
    r"(?:-[Xx](?:-[A-Za-z0-9]{1,8})+)?|[Xx](?:-[A-Za-z0-9]{1,8})+"
).fullmatch
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:\s*;\s*[^;=\s]+=(?:\"[^\"]*\"|[^;\s]*))*"
).fullmatch


def _language(code: str) -> bool:
    return _LANGUAGE(code) is not None


def _media_type(code: str) -> bool:
    return _MEDIA_TYPE(code) is not None


def _unit(code: str) -> bool | None:
    # The table holds the units in clinical use, not all of UCUM: absence proves nothing.
    return True if ucum.canonical(Decimal(1), code) is not None else None


GRAMMARS: Mapping[str, Rule] = {
    "urn:ietf:bcp:47": _language,
    "urn:ietf:bcp:13": _media_type,
    ucum.SYSTEM: _unit,
}
