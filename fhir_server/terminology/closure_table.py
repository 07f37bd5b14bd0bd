"""What ConceptMap/$closure answers: which of a client's concepts are below which.

https://hl7.org/fhir/R4/terminology-service.html#closure
"""

from collections.abc import Mapping, Sequence
from time import thread_time

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.core.spans import Spans
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.systems import System

# (code, code above it)
Entries = set[tuple[str, str]]
MOST_ENTRIES, _SECONDS = 100_000, 2.0


def settled(definitions: Definitions, canonical: str, codes: Sequence[str]) -> list[str]:
    """The codes as their system (`url` or `url|version`) writes them. Raises `Unprocessable` for one that it does not
    have, `NotLocal` for a system that is not here."""
    system = definitions.require(canonical)
    numbers = system.numbers(codes)
    missing = next((code for code in codes if code not in numbers), None)
    if missing is not None:
        raise Unprocessable(f"The code system {system.url} has no code {missing!r}.", code="code-invalid")
    return [concept.code for concept in system.page(sorted(set(numbers.values())))]


class Work:
    """What one answer may take: two seconds of processor time, and 100,000 entries."""

    def __init__(self) -> None:
        self._end = thread_time() + _SECONDS
        self._left = MOST_ENTRIES

    def spend(self, found: int) -> None:
        """Count entries. Raises `TooCostly`."""
        self._left -= found
        if self._left < 0 or thread_time() > self._end:
            raise TooCostly(
                f"The answer has more than {MOST_ENTRIES} entries, or takes more than {_SECONDS:.0f} s to work out: the"
                " concepts are above one another in too many ways. Add fewer at a time.", expression="http.concept",
            )  # fmt: skip


def entries(system: System, held: Mapping[str, int], since: int, work: Work) -> Entries:
    """The entries of a closure table of one system that came in after the version `since`. `held`: the version at which
    each of its codes came in. Together, the entries of all versions are the closure of its codes. Raises as `Work`."""
    numbers = system.numbers(held)
    codes = {number: code for code, number in numbers.items()}
    every = Spans.of(codes)
    fresh = [code for code in numbers if held[code] > since]
    found: Entries = set()
    for code in fresh:
        above = system.above(code) & every
        work.spend(len(above))
        found.update((code, codes[number]) for number in above)
        if len(fresh) < len(numbers):
            below = system.below(code) & every
            work.spend(len(below))
            found.update((codes[number], code) for number in below)
    return found
