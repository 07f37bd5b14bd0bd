"""Code systems whose codes are made by a rule instead of listed.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

import re
from collections.abc import Callable, Mapping

from fhir_server.core import ucum
from fhir_server.terminology.systems import Concept

Rule = Callable[[str], bool]

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


def _unit(code: str) -> bool:
    return ucum.problem(code) is None


def trouble(system: str, code: str) -> str | None:
    """What is wrong with a code of UCUM, in a sentence; None for other systems, and for a code that is right."""
    return ucum.problem(code) if system == ucum.SYSTEM else None


def described(system: str, code: str) -> Concept | None:
    """What there is to say of a UCUM unit: its name in words, how it is printed, and the base units of its dimension;
    None for other systems, and for a code that is wrong."""
    if system != ucum.SYSTEM or ucum.problem(code) is not None:
        return None
    held = ucum.unit(code)
    dimension = [("canonical", held.canonical)] if held is not None else []
    return Concept(0, code, ucum.named(code), properties=[("printed", ucum.printed(code)), *dimension])


GRAMMARS: Mapping[str, Rule] = {
    "urn:ietf:bcp:47": _language,
    "urn:ietf:bcp:13": _media_type,
    ucum.SYSTEM: _unit,
}
