"""Where code systems and value sets come from: the tenant's own resources first, then the base package."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.core.errors import FhirError, NotFound, Unprocessable
from fhir_server.terminology.code_system import CodeSystemTable

Find = Callable[[str], Mapping[str, Any] | None]
_EMPTY = frozenset({"not-present", "supplement"})

_HOLDERS: Mapping[str, str] = {
    "http://snomed.info/sct": "SNOMED CT (licensed by SNOMED International)",
    "http://loinc.org": "LOINC (licensed by Regenstrief)",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm (NLM)",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10 (WHO)",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://www.ama-assn.org/go/cpt": "CPT (licensed by the AMA)",
    "http://www.whocc.no/atc": "ATC (WHO)",
    "http://hl7.org/fhir/sid/cvx": "CVX (CDC)",
    "http://hl7.org/fhir/sid/ndc": "NDC (FDA)",
    "http://unitsofmeasure.org": "UCUM, which is a grammar and cannot be listed",
    "urn:ietf:bcp:47": "BCP 47 languages, which is a grammar and cannot be listed",
    "urn:ietf:bcp:13": "BCP 13 media types, which is a grammar and cannot be listed",
}


class NotLocal(FhirError):
    """422 `not-supported`: the codes of a system are needed and are not on this server."""

    status = 422
    default_code = "not-supported"

    def __init__(self, system: str) -> None:
        self.system = system
        about = f", {_HOLDERS[system]}," if system in _HOLDERS else ""
        super().__init__(
            f"The code system {system}{about} is not on this server with its codes, so this cannot be computed here."
            " Load it as a CodeSystem resource with its concepts."
        )


def _none(url: str) -> None:
    return None


@dataclass(slots=True)
class Definitions:
    """Looks a canonical up once per request. `find_*` read the tenant's own resources by url; by default there are
    none. What the tenant owns can change, so only tables of the base package outlive the request.

    listings, membership, selections, stored: what `compose` has found in this request."""

    registry: Registry
    find_code_system: Find = _none
    find_value_set: Find = _none
    listings: dict[str, Any] = field(default_factory=dict)
    membership: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    selections: dict[int, frozenset[str]] = field(default_factory=dict)
    stored: dict[int, Any] = field(default_factory=dict)
    _tables: dict[str, CodeSystemTable | None] = field(default_factory=dict)
    _value_sets: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    def all_base(self, systems: Iterable[str], value_sets: Iterable[str]) -> bool:
        """Whether none of these canonicals is the tenant's own."""
        return all(self._own_code_system(url) is None for url in systems) and all(
            self._own_value_set(url) is None for url in value_sets
        )

    def table(self, system: str) -> CodeSystemTable | None:
        """The concepts of a system, or None when its codes are not here. A `|version` must be the one held."""
        url, _, version = system.partition("|")
        table = self._own_code_system(url) or base_table(url)
        if table is None or table.content in _EMPTY:
            return None
        if version and table.version and version != table.version:
            raise Unprocessable(
                f"The code system {url} is held in version {table.version}, not {version}.", code="not-supported"
            )
        return table

    def require(self, system: str) -> CodeSystemTable:
        """The concepts of a system. Raises `NotLocal`."""
        table = self.table(system)
        if table is None:
            raise NotLocal(system.partition("|")[0])
        return table

    def value_set(self, canonical: str, expression: str | None = None) -> Mapping[str, Any]:
        """A value set by canonical. Raises `NotFound`."""
        url, _, version = canonical.partition("|")
        found = self._own_value_set(url) or self.registry.value_set(url)
        if found is None:
            raise NotFound(f"There is no value set {url} on this server.", expression=expression)
        if version and found.get("version") and found["version"] != version:
            raise NotFound(
                f"The value set {url} is held in version {found['version']}, not {version}.", expression=expression
            )
        return found

    def imported(self, canonical: str) -> Mapping[str, Any]:
        """A value set that another one names. Raises `Unprocessable`: that the other one exists stays true."""
        try:
            return self.value_set(canonical)
        except NotFound as error:
            raise Unprocessable(f"The value set imports another. {error}", code="not-found") from None

    def _own_code_system(self, url: str) -> CodeSystemTable | None:
        if url not in self._tables:
            own = self.find_code_system(url)
            self._tables[url] = None if own is None else CodeSystemTable(own)
        return self._tables[url]

    def _own_value_set(self, url: str) -> Mapping[str, Any] | None:
        if url not in self._value_sets:
            self._value_sets[url] = self.find_value_set(url)
        return self._value_sets[url]


@lru_cache(maxsize=4096)
def base_table(url: str) -> CodeSystemTable | None:
    """A code system of the base package, whose definitions never change."""
    definition = base_registry().code_system(url)
    return None if definition is None else CodeSystemTable(definition)
