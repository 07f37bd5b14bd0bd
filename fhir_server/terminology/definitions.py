"""Where code systems and value sets come from: the tenant's resources, imported content, the base package."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from fhir_server.conformance import base_definitions, canonicals
from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.core.errors import FhirError, NotFound, TooCostly, Unprocessable
from fhir_server.storage.concepts import SystemRow
from fhir_server.storage.session import Session
from fhir_server.terminology import implicit
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.holders import HOLDERS
from fhir_server.terminology.kept import Kept
from fhir_server.terminology.resources import Held, Resources, is_version
from fhir_server.terminology.stored import StoredSystem, stored_system, stored_systems
from fhir_server.terminology.supplements import Supplemented
from fhir_server.terminology.systems import System

_EMPTY = frozenset({"not-present", "supplement"})
_STEPS = 3_000_000
Stored = Callable[[str, str | None], System | None]


class NotLocal(FhirError):
    """422 `not-supported`: the codes of a system are needed and are not on this server."""

    status = 422
    default_code = "not-supported"

    def __init__(self, system: str) -> None:
        self.system = system
        about = f", {HOLDERS[system]}," if system in HOLDERS else ""
        super().__init__(
            f"The code system {system}{about} is not on this server with its codes, so this cannot be computed here."
            " Import it, or load it as a CodeSystem resource with its concepts."
        )


class Partial(NotLocal):
    """422 `not-supported`: a code is not among the concepts held of a system, which are not all that it has."""

    def __init__(self, system: str) -> None:
        super().__init__(system)
        self.issues[0] = replace(
            self.issues[0],
            text=f"The code system {system} is here in part only, so whether it has this code cannot be told here.",
        )


class VersionNotHeld(Unprocessable):
    """422 `not-supported`: a code system is here, but not in the version asked for."""

    default_code = "not-supported"


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


def _nothing(url: str, version: str | None) -> None:
    return None


class Definitions:
    """Looks canonicals up for one piece of work, each once. `stored` finds imported systems.

    memo: what `compose` has worked out in this piece of work.
    """

    def __init__(
        self,
        registry: Registry,
        resources: Resources | None = None,
        stored: Stored = _nothing,
        versions: Versions | None = None,
    ) -> None:
        self.registry = registry
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
        own = self.resources.find("CodeSystem", asked)
        content = own.resource.get("content", "complete") if own else "not-present"
        found: System | None = None
        if own is None or content != "complete":
            found = self._stored(url, version)
        if found is None and own is not None and content not in _EMPTY:
            found = self._table(own)
        if found is None:
            base = base_table(url)
            if base is not None and base.content not in _EMPTY and (not version or is_version(base.version, version)):
                found = base
        if found is None:
            return None
        # The same version under two names is one system.
        known = next((s for s in self._systems.values() if s is not None and _same(s, found)), None)
        return known or self._supplemented(found)

    def _supplemented(self, system: System) -> System:
        held = self.resources.supplements(system.url, system.version)
        return Supplemented(system, [self._table(each) for each in held]) if held else system

    def _table(self, held: Held) -> CodeSystemTable:
        key = ("table", id(held.resource))
        known: CodeSystemTable | None = self.memo.get(key) if held.key is None else _tables.get(held.key)
        if known is None:
            known = CodeSystemTable(held.resource, held.key)
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
            held = self.resources.find("ValueSet", canonical)
            base = self.registry.value_set(url) if held is None else None
            if base is not None and (not version or is_version(base.get("version"), version)):
                held = Held(base, ("base", url))
            if held is None and (made := implicit.value_set(url, self._naming_all)) is not None:
                held = Held(made, ("implicit", url, made["compose"]["include"][0]["system"]))
            if held is not None:
                self.remember(held)
            self._value_sets[canonical] = held
        return self._value_sets[canonical]

    def _naming_all(self, url: str) -> str | None:
        """The code system that names this value set as that of all its codes (CodeSystem.valueSet)."""
        for held in self.resources.every("CodeSystem"):
            if held.resource.get("valueSet") == url:
                return str(held.resource["url"])
        return _base_all_codes().get(url)

    # -- concept maps ------------------------------------------------------------------------------------------------

    def concept_map(self, canonical: str) -> Mapping[str, Any] | None:
        """A concept map by canonical; None when there is none."""
        held = self.resources.find("ConceptMap", canonical)
        return base_definitions.find("ConceptMap", canonical) if held is None else held.resource

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

    def find(url: str, version: str | None) -> System | None:
        nonlocal held
        if held is None:
            held = {}
            for row in stored_systems(db, tenant_id):
                held.setdefault(row.url, []).append(row)
        return stored_system(db, tenant_id, url, version, held[url]) if url in held else None

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
