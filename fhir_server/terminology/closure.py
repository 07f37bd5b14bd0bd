"""What search asks of terminology: `:in`, `:not-in`, `:below`, `:above` over the base definitions.

https://hl7.org/fhir/R4/search.html#token
"""

from functools import lru_cache

from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.core.errors import FhirError
from fhir_server.terminology.compose import entries
from fhir_server.terminology.definitions import Definitions, Find, base_table


def codes_in(registry: Registry, value_set_url: str, find: Find | None = None) -> frozenset[tuple[str, str]] | None:
    """The (system, code) pairs of a value set; None when there is no such value set or it cannot be listed here.
    `find` reads the tenant's own value sets by url; what it finds is not remembered."""
    url = value_set_url.partition("|")[0]
    own = find(url) if find else None
    if own is None:
        return _base_codes(url)
    try:
        return frozenset(entries(Definitions(registry, find_value_set=find or (lambda _: None)), own))
    except FhirError:
        return None


@lru_cache(maxsize=512)
def _base_codes(url: str) -> frozenset[tuple[str, str]] | None:
    registry = base_registry()
    value_set = registry.value_set(url)
    if value_set is None:
        return None
    try:
        return frozenset(entries(Definitions(registry), value_set))
    except FhirError:
        return None


def below(registry: Registry, system: str, code: str) -> set[str]:
    """`code` and every code that it subsumes; only `code` when the system is not known."""
    table = base_table(system)
    return {code} if table is None else {code, *table.descendants(code)}


def above(registry: Registry, system: str, code: str) -> set[str]:
    """`code` and every code that subsumes it; only `code` when the system is not known."""
    table = base_table(system)
    return {code} if table is None else {code, *table.ancestors(code)}
