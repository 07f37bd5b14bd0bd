"""What validation and expressions ask of terminology: is a code in a value set, does one code subsume another.

https://hl7.org/fhir/R4/terminologies.html#binding, https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Hashable, Sequence

from fhir_server.conformance import canonicals
from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import FhirError, Issue
from fhir_server.storage.session import Session
from fhir_server.terminology.compose import contains, selection, used_systems
from fhir_server.terminology.definitions import Definitions, identity, imported_by
from fhir_server.terminology.kept import Kept
from fhir_server.terminology.listed import known
from fhir_server.terminology.resources import Resources
from fhir_server.terminology.systems import Selection
from fhir_server.terminology.validate_code import Question, in_code_system

Codes = frozenset[tuple[str, str]]
_codes = Kept(1_000_000)


class Membership:
    """Answers for one piece of work, whoever asks. None: it cannot be told here, because a value set or a code system
    is not here or cannot be worked out."""

    def __init__(
        self, registry: Registry, definitions: canonicals.Definitions, db: Session | None, tenant_id: int
    ) -> None:
        own = Resources(definitions, tenant_id)
        self._here = Definitions(registry, own, imported_by(db, tenant_id))

    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a code is in a value set. Without a system (the element is a `code`), in any of its systems."""
        self._here.begin()
        try:
            definition = self._here.value_set(value_set)
            if system is not None:
                return contains(self._here, definition, system, code)
            asked = used_systems(self._here, definition)
        except FhirError:
            return None
        answers = [self._told(value_set, url, code) for url in asked]
        return True if True in answers else None if None in answers else False

    def _told(self, value_set: str, system: str, code: str) -> bool | None:
        try:
            return contains(self._here, self._here.value_set(value_set), system, code)
        except FhirError:
            return None

    def codes(self, value_set: str, most: int = 2000) -> Codes | None:
        """The (system, code) pairs of a value set that has at most so many; None when it has more, too."""
        self._here.begin()
        try:
            found = selection(self._here, self._here.value_set(value_set))
        except FhirError:
            return None
        if sum(len(part.concepts) for part in found.parts) + len(found.listed) > most:
            return None
        return _pairs(found)

    def known(self, system: str, code: str) -> bool | None:
        """Whether a code system has a code."""
        try:
            return known(self._here, system, code)
        except FhirError:
            return None

    def said(self, system: str, code: str, display: str | None) -> Sequence[Issue]:
        """What the system of a coding has to say against it, at `code` or `display`; () where that cannot be told."""
        try:
            return in_code_system(self._here, Question(system, code, display, at="")).issues
        except FhirError:
            return ()

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether code `a` is the same as `b` or above it."""
        try:
            table = self._here.system(system)
        except FhirError:
            return None
        above, below = (table.find(a), table.find(b)) if table is not None else (None, None)
        if table is None or above is None or below is None:
            return None
        return above.number == below.number or below.number in table.below(above.code)


def _pairs(found: Selection) -> Codes:
    keys = tuple((identity(part.system), part.concepts) for part in found.parts)
    key: Hashable = (keys, frozenset(found.listed))
    if any(each[0] is None for each in keys):
        return _read(found)
    known: Codes | None = _codes.get(key)
    if known is None:
        known = _read(found)
        _codes.put(key, known, 10 + len(known))
    return known


def _read(found: Selection) -> Codes:
    pairs = {
        (part.system.url, concept.code)
        for part in found.parts
        for concept in part.system.page(list(part.concepts))
    }
    return frozenset(pairs | set(found.listed))
