"""In which language to write to a person."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fhir_server.core.context import Tenant
from fhir_server.features.notifications.kinds import rules

LAST = "fr"


def of(person: Mapping[str, Any], tenant: Tenant) -> tuple[str, ...]:
    """Languages to try, the best first: those that the person prefers, then others that the person speaks, the
    tenant's, French. Each is followed by the language of our texts that its speakers read: `ary`, `ar`."""
    found: list[str] = []
    for code in [*_spoken(person), tenant.language, LAST]:
        for language in (code, code.split("-")[0], _written().get(code.split("-")[0], "")):
            if language and language not in found:
                found.append(language)
    return tuple(found)


def _spoken(person: Mapping[str, Any]) -> Iterator[str]:
    """Codes of the person's languages, preferred ones first. A Practitioner has plain CodeableConcepts, in order of
    preference. https://hl7.org/fhir/R4/patient-definitions.html#Patient.communication"""
    entries = [entry for entry in person.get("communication", ()) if isinstance(entry, dict)]
    for entry in sorted(entries, key=lambda entry: entry.get("preferred") is not True):
        concept = entry.get("language", entry)
        for coding in concept.get("coding", ()):
            code = coding.get("code")
            if isinstance(code, str) and code:
                yield code


@cache
def _written() -> Mapping[str, str]:
    return {code: language for language, codes in rules()["languages"].items() for code in codes}
