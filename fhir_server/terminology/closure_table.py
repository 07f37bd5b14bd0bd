"""What ConceptMap/$closure answers: which of a client's concepts are below which.

https://hl7.org/fhir/R4/terminology-service.html#closure
"""

from collections.abc import Mapping, Sequence

from fhir_server.core.errors import Unprocessable
from fhir_server.core.spans import Spans
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.systems import System

# (code, code above it)
Entries = set[tuple[str, str]]


def settled(definitions: Definitions, canonical: str, codes: Sequence[str]) -> list[str]:
    """The codes as their system (`url` or `url|version`) writes them. Raises `Unprocessable` for one that it does not
    have, `NotLocal` for a system that is not here."""
    system = definitions.require(canonical)
    numbers = system.numbers(codes)
    missing = next((code for code in codes if code not in numbers), None)
    if missing is not None:
        raise Unprocessable(f"The code system {system.url} has no code {missing!r}.", code="code-invalid")
    return [concept.code for concept in system.page(sorted(set(numbers.values())))]


def entries(system: System, held: Mapping[str, int], since: int) -> Entries:
    """The entries of a closure table of one system that came in after the version `since`. `held`: the version at which
    each of its codes came in. Together, the entries of all versions are the closure of its codes."""
    numbers = system.numbers(held)
    codes = {number: code for code, number in numbers.items()}
    every = Spans.of(codes)
    fresh = [code for code in numbers if held[code] > since]
    found: Entries = set()
    for code in fresh:
        found.update((code, codes[number]) for number in system.above(code) & every)
        if len(fresh) < len(numbers):
            found.update((codes[number], code) for number in system.below(code) & every)
    return found
