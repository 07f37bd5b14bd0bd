"""Where code systems and value sets come from: the tenant's resources, imported content, the base package."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from fhir_server.conformance import base_definitions, canonicals
from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.core.errors import NotFound, TooCostly, Unprocessable
from fhir_server.storage.concepts import SystemRow
from fhir_server.storage.session import Session
from fhir_server.terminology import dated, implicit
from fhir_server.terminology.absent import NotLocal, VersionNotHeld
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.kept import Kept
from fhir_server.terminology.resources import WITHOUT_CODES, Held, Load, Resources, is_version
from fhir_server.terminology.stored import StoredSystem, stored_system, stored_systems
from fhir_server.terminology.supplements import Supplemented
from fhir_server.terminology.systems import System

_STEPS = 3_000_000

T = TypeVar("T")
# By url, version and the end of a date.
Stored = Callable[[str, str | None, int | None], System | None]


@dataclass(frozen=True, slots=True)
class Versions:
    """Which versions of code systems a request wants, by url: where nothing else says (`default`), whatever else says
    (`force`), and which it insists on (`check`)."""

    default: Mapping[str, str] = field(default_factory=dict)
    check: Mapping[str, str] = field(default_factory=dict)
    force: Mapping[str, str] = field(default_factory=dict)

    def of(self, url: str, named: str | None) -> str | None:
        """The version to use of a system for which a definition names one, or none. Raises `Unprocessable` when that is
        not the one that the request insists on."""
        version = self.force.get(url) or named or self.default.get(url)
        insisted = self.check.get(url)
        if insisted is not None and version is not None and not is_version(version, insisted):
            raise Unprocessable(
                f"The value set uses the code system {url} in version {version}, not {insisted}.", code="not-supported",
                expression="http.check-system-version",
            )  # fmt: skip
        return version or insisted


def _nothing(url: str, version: str | None, end: int | None) -> None:
    return None


class Definitions:
    """Looks canonicals up for one piece of work, each once. `stored` finds imported systems; `end`: where no version is
    named, the one that was in force just before this moment (microseconds) counts.

    memo: what `compose` has worked out in this piece of work.
    """

    def __init__(
        self,
        registry: Registry,
        resources: Resources | None = None,
        stored: Stored = _nothing,
        versions: Versions | None = None,
        end: int | None = None,
    ) -> None:
        self.registry = registry
        self._end = end
        self.resources = resources or Resources()
        self.versions = versions or Versions()
        self.memo: dict[Hashable, Any] = {}
        self._stored = stored
        self._systems: dict[str, System | None] = {}
        self._value_sets: dict[str, Held | None] = {}
        self._keys: dict[int, Hashable] = {}
        self._steps = _STEPS

    def begin(self) -> None:
        """A new question, whose work is counted from the beginning."""
        self._steps = _STEPS

    def spend(self, steps: int) -> None:
        """Count work. Raises `TooCostly` when one request asks for too much of it."""
        self._steps -= steps
        if self._steps < 0:
            raise TooCostly("The value set's definition takes too much work: too many filters, includes or imports.")

    # -- code systems --------------------------------------------------------------------------------------------------

    def system(self, canonical: str) -> System | None:
        """A code system by `url` or `url|version`, with its supplements; None when its codes are not here.

        A tenant's own resource with all its codes comes before imported content, that before what is less than
        complete, and all before the base package. Raises `VersionNotHeld`.
        """
        if canonical not in self._systems:
            url, _, version = canonical.partition("|")
            found = self._find(url, version or None)
            other = self.system(url) if found is None and version else None
            if other is not None:
                raise VersionNotHeld(f"The code system {url} is held in version {other.version}, not {version}.")
            self._systems[canonical] = found
        return self._systems[canonical]

    def require(self, canonical: str) -> System:
        """A code system that is here. Raises `NotLocal`, and as `system`."""
        found = self.system(canonical)
        if found is None:
            raise NotLocal(canonical.partition("|")[0])
        return found

    def _find(self, url: str, version: str | None) -> System | None:
        asked = f"{url}|{version}" if version else url
        end = None if version else self._end
        own = self.resources.find("CodeSystem", asked, end)
        content = own.resource.get("content", "complete") if own else "not-present"
        found: System | None = None
        if own is None or content != "complete":
            found = self._stored(url, version, end)
        if found is None and own is not None and content not in WITHOUT_CODES:
            found = self._table(own)
        if found is None:
            base = base_table(url)
            if base is not None and base.content not in WITHOUT_CODES:
                found = self._at_the_time(base, url) if not version or is_version(base.version, version) else None
        if found is None:
            return None
        # The same version under two names is one system.
        known = next((s for s in self._systems.values() if s is not None and _same(s, found)), None)
        return known or self._supplemented(found)

    def _at_the_time(self, of_base: T, named: str) -> T:
        """What is of the base package, if it was published by then."""
        if self._end is not None:
            dated.in_force([(dated.BASE_SINCE, of_base)], self._end, named)
        return of_base

    def _supplemented(self, system: System) -> System:
        tables = [self._table_by(*each) for each in self.resources.supplements(system.url, system.version)]
        found = [table for table in tables if table is not None]
        return Supplemented(system, found) if found else system

    def _table_by(self, key: Hashable | None, load: Load) -> CodeSystemTable | None:
        known: CodeSystemTable | None = None if key is None else _tables.get(key)
        held = load() if known is None else None
        return known if held is None else self._table(held)

    def _table(self, held: Held) -> CodeSystemTable:
        key = ("table", id(held.resource))
        known: CodeSystemTable | None = self.memo.get(key) if held.key is None else _tables.get(held.key)
        if known is None:
            known = CodeSystemTable(held.resource, held.key)
            self.spend(known.total)
            if held.key is None:
                self.memo[key] = known
            else:
                _tables.put(held.key, known, 10 + known.total)
        return known

    # -- value sets ----------------------------------------------------------------------------------------------------

    def value_set(self, canonical: str, expression: str | None = None) -> Mapping[str, Any]:
        """A value set by canonical. Raises `NotFound`."""
        url, _, version = canonical.partition("|")
        held = self._value_set(canonical)
        if held is None and version:
            # One that says no version is taken for any.
            held = self._value_set(url)
            has = held.resource.get("version") if held else None
            if has is not None:
                raise NotFound(f"The value set {url} is held in version {has}, not {version}.", expression=expression)
        if held is None:
            raise NotFound(f"There is no value set {url} on this server.", expression=expression)
        return held.resource

    def imported(self, canonical: str) -> Mapping[str, Any]:
        """A value set that another one names. Raises `Unprocessable`: that the other one exists stays true."""
        try:
            return self.value_set(canonical)
        except NotFound as error:
            raise Unprocessable(f"The value set imports another. {error}", code="not-found") from None

    def key_of(self, value_set: Mapping[str, Any]) -> Hashable | None:
        """What tells a value set's content apart from every other; None when it was not found here."""
        return self._keys.get(id(value_set))

    def remember(self, held: Held) -> Mapping[str, Any]:
        """Let a value set that was found otherwise count as found here."""
        if held.key is not None:
            self._keys[id(held.resource)] = held.key
            self.memo["held", held.key] = held.resource
        return held.resource

    def _value_set(self, canonical: str) -> Held | None:
        if canonical not in self._value_sets:
            url, _, version = canonical.partition("|")
            held = self.resources.find("ValueSet", canonical, None if version else self._end)
            base = self.registry.value_set(url) if held is None else None
            if base is not None and (not version or is_version(base.get("version"), version)):
                held = Held(self._at_the_time(base, url), ("base", url))
            if held is None and (made := implicit.value_set(url, self._naming_all)) is not None:
                held = Held(made, ("implicit", url, made["compose"]["include"][0]["system"]))
            if held is not None:
                self.remember(held)
            self._value_sets[canonical] = held
        return self._value_sets[canonical]

    def _naming_all(self, url: str) -> str | None:
        """The code system that names this value set as that of all its codes (CodeSystem.valueSet)."""
        return self.resources.naming_all(url) or _base_all_codes().get(url)

    # -- definitions of other types ------------------------------------------------------------------------------------

    def definition(self, resource_type: str, canonical: str) -> dict[str, Any] | None:
        """A definition of any type by canonical; None when there is none that the caller may know of. Nobody changes
        what he is given."""
        held = self.resources.find(resource_type, canonical)
        return base_definitions.find(resource_type, canonical) if held is None else dict(held.resource)

    def concept_maps(self) -> Iterator[Mapping[str, Any]]:
        """Every concept map, the tenant's own before the package's."""
        own = [held.resource for held in self.resources.every("ConceptMap")]
        yield from own
        urls = {resource.get("url") for resource in own}
        yield from (held for url, held in self.registry.terminology.all("concept-maps").items() if url not in urls)


def of_tenant(registry: Registry, db: Session | None, tenant_id: int) -> Definitions:
    """All that a tenant has, whoever asks: for bindings, for search, for expressions."""
    own = canonicals.Definitions(registry.canonicals, db, tenant_id)
    return Definitions(registry, Resources(own, tenant_id), imported_by(db, tenant_id))


def imported_by(db: Session | None, tenant_id: int) -> Stored:
    """Finds the imported systems of a tenant and of the site."""
    if db is None:
        return _nothing
    held: dict[str, list[SystemRow]] | None = None

    def find(url: str, version: str | None, end: int | None) -> System | None:
        nonlocal held
        if held is None:
            held = {}
            for row in stored_systems(db, tenant_id):
                held.setdefault(row.url, []).append(row)
        return stored_system(db, tenant_id, url, version, held[url], end) if url in held else None

    return find


def identity(system: System) -> Hashable | None:
    """What tells a system's content apart from every other; None when it was given for one request."""
    if isinstance(system, Supplemented):
        inner = identity(system.inner)
        return None if inner is None or None in system.keys else (inner, system.keys)
    if isinstance(system, StoredSystem):
        return ("imported", system.tenant_id, system.system_id)
    return getattr(system, "key", None)


@lru_cache(maxsize=4096)
def base_table(url: str) -> CodeSystemTable | None:
    """A code system of the base package, whose definitions never change."""
    definition = base_registry().code_system(url)
    return None if definition is None else CodeSystemTable(definition, ("base", url))


@lru_cache(maxsize=1)
def _base_all_codes() -> Mapping[str, str]:
    systems = base_registry().terminology.all("code-systems")
    return {held["valueSet"].partition("|")[0]: url for url, held in systems.items() if "valueSet" in held}


_tables = Kept(1_000_000)


def _same(one: System, other: System) -> bool:
    inner = one.inner if isinstance(one, Supplemented) else one
    key = identity(other)
    return inner is other or (key is not None and identity(inner) == key)
