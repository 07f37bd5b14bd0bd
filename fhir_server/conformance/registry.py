"""The registry of definitions that the engine works from: the base of R4, and per tenant what the tenant added."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fhir_server.conformance.canonicals import CANONICAL_TYPES, Canonicals, no_canonicals
from fhir_server.conformance.compartments import Compartments, load_compartments
from fhir_server.conformance.definitions import read_definitions
from fhir_server.conformance.derived import with_derived
from fhir_server.conformance.operations import Operation, index_operations, load_operation
from fhir_server.conformance.own_definitions import own_definitions, own_table
from fhir_server.conformance.search_parameters import (
    SearchDefinition,
    SearchParam,
    load_search_definition,
    place,
    tenant_search_definition,
)
from fhir_server.conformance.structures import Structure, load_structures
from fhir_server.conformance.value_sets import Codes, Expander
from fhir_server.storage.definitions import DefinitionRow


class Terminology:
    """Code systems and value sets of the package, read on first use."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, dict[str, Any]]] = {}
        self.expander = Expander(self.value_set, self.code_system)

    def value_set(self, url: str) -> dict[str, Any] | None:
        """A value set by canonical url, compact; a `|version` is ignored."""
        return self.all("value-sets").get(url.split("|")[0])

    def code_system(self, url: str) -> dict[str, Any] | None:
        """A code system by canonical url, compact; a `|version` is ignored."""
        return self.all("code-systems").get(url.split("|")[0])

    def all(self, name: str) -> dict[str, dict[str, Any]]:
        """Every definition of one kind, by url: the package's and this server's own."""
        if name not in self._files:
            self._files[name] = {**read_definitions(name), **{row["url"]: row for row in own_definitions(name)}}
        return self._files[name]


class Registry:
    """Definitions as one tenant sees them. Immutable to its users; lookups are cached inside.

    version: the tenant's registry version it was built for (0 = base). type_ids: stable small integers, the position
    in the sorted R4 list counted from 1. pending: own parameters (type, code) whose index is still being built.
    canonicals: the definitions that the tenant stores, by url.
    """

    def __init__(
        self,
        version: int,
        structures: Mapping[str, Structure],
        searches: Mapping[str, SearchDefinition],
        operations: Mapping[tuple[str | None, str], Operation],
        compartments: Compartments,
        terminology: Terminology,
        pending: frozenset[tuple[str, str]] = frozenset(),
        canonicals: Canonicals | None = None,
    ) -> None:
        self.version = version
        self.canonicals = canonicals or no_canonicals()
        self.pending = pending
        self.structures = structures
        self.operations = operations
        self.compartments = compartments
        self.terminology = terminology
        self.searches = searches
        self.resource_types = tuple(
            sorted(s.name for s in structures.values() if s.kind == "resource" and not s.abstract)
        )
        self.type_ids: Mapping[str, int] = {name: i for i, name in enumerate(self.resource_types, 1)}
        self.type_names: Mapping[int, str] = {i: name for name, i in self.type_ids.items()}
        self.canonical_type_ids = frozenset(self.type_ids[name] for name in CANONICAL_TYPES)
        self._by_type: dict[str, list[SearchDefinition]] = {}
        for definition in searches.values():
            for base in definition.bases:
                self._by_type.setdefault(base, []).append(definition)
        self._params: dict[str, Mapping[str, SearchParam]] = {}

    def search_params(self, resource_type: str) -> Mapping[str, SearchParam]:
        """Search parameters of a type by code, with `_id`, `_lastUpdated`, `_tag`, `_profile`, `_security`, `_source`.

        Empty for an unknown type.
        """
        found = self._params.get(resource_type)
        if found is None:
            found = self._params[resource_type] = self._placed(resource_type)
        return found

    def _placed(self, resource_type: str) -> dict[str, SearchParam]:
        if resource_type not in self.type_ids:
            return {}
        definitions = [*self._by_type.get("Resource", ()), *self._by_type.get(resource_type, ())]
        return with_derived(
            {d.code: place(d, resource_type, self.searches.get, self.structures) for d in definitions}
        )

    def codes(self, value_set_url: str) -> Codes | None:
        """(system, code) pairs of a value set of the package; None when unknown or not enumerable."""
        return self.terminology.expander.codes(value_set_url)

    def value_set(self, url: str) -> dict[str, Any] | None:
        """A value set of the package by canonical url, in FHIR's JSON form without prose."""
        return self.terminology.value_set(url)

    def code_system(self, url: str) -> dict[str, Any] | None:
        """A code system of the package by canonical url, in FHIR's JSON form without prose."""
        return self.terminology.code_system(url)


@cache
def base_registry() -> Registry:
    """The definitions of FHIR R4 (4.0.1), loaded once."""
    structures = load_structures(read_definitions("structures"))
    concrete = sorted(s.name for s in structures.values() if s.kind == "resource" and not s.abstract)
    searches = {url: load_search_definition(url, row) for url, row in read_definitions("search-parameters").items()}
    searches |= {row["url"]: load_search_definition(row["url"], row) for row in own_definitions("search-parameters")}
    operations = [*read_definitions("operations"), *own_definitions("operations")]
    return Registry(
        0,
        structures,
        searches,
        index_operations(load_operation(row, concrete) for row in operations),
        load_compartments(read_definitions("compartments"), [table for _, table in own_table("compartments")]),
        Terminology(),
    )


def tenant_registry(
    version: int,
    search_parameters: Sequence[dict[str, Any]],
    pending: frozenset[tuple[str, str]] = frozenset(),
    definitions: Sequence[DefinitionRow] = (),
) -> Registry:
    """The base with a tenant's own SearchParameter resources and the places of its definitions; the rest is shared.

    An own parameter replaces the base one of the same url; on a type, the tenant's wins over another with its code.
    Raises `Unprocessable` for a resource that cannot be used as a search parameter.
    """
    base = base_registry()
    searches = dict(base.searches)
    for resource in search_parameters:
        own = tenant_search_definition(resource, base.type_ids)
        searches.pop(own.url, None)
        searches[own.url] = own
    return Registry(
        version, base.structures, searches, base.operations, base.compartments, base.terminology, pending,
        Canonicals(definitions, base.type_ids),
    )  # fmt: skip
