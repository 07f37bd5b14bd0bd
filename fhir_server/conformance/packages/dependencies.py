"""What a package needs, found in a tenant and in the cache, transitively; everything that is missing at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fhir_server.conformance.packages.content import Package
from fhir_server.conformance.packages.versions import chosen
from fhir_server.core.errors import FhirError

Version = tuple[str, str]
_MOST = 200


@dataclass(slots=True)
class Resolved:
    """`packages`: those to install, each after what it needs (as far as that has an order); `uses`: version by name, of
    each; `missing`: `name#wanted (for name#version)`; `conflicts`: names wanted in several versions."""

    packages: list[Package] = field(default_factory=list)
    uses: dict[Version, dict[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


class Resolver:
    """Follows dependencies from one package. `installed`: (name, version) of what the tenant has; `available`: the
    versions of a name that `read` can give."""

    def __init__(
        self,
        installed: Iterable[Version],
        available: Callable[[str], Iterable[str]],
        read: Callable[[str, str], Package],
    ) -> None:
        self._installed = list(installed)
        self._available = available
        self._read = read
        self._seen: set[Version] = set()
        self._picked: dict[str, set[str]] = {}
        self._result = Resolved()

    def resolve(self, package: Package) -> Resolved:
        """Everything that the package needs, and itself last. A circle of dependencies ends where it began."""
        self._follow(package)
        for name, versions in sorted(self._picked.items()):
            if len(versions) > 1:
                self._result.conflicts.append(f"{name} is wanted in the versions {', '.join(sorted(versions))}")
        return self._result

    def _follow(self, package: Package) -> None:
        """Depth first without recursion: a chain of packages can be as long as its author likes."""
        waiting: list[tuple[Package, bool]] = [(package, False)]
        while waiting:
            current, done = waiting.pop()
            key = current.name, current.version
            if done:
                self._result.packages.append(current)
            elif key not in self._seen:
                self._seen.add(key)
                self._picked.setdefault(current.name, set()).add(current.version)
                waiting.append((current, True))
                waiting.extend((each, False) for each in self._needed(current))

    def _needed(self, package: Package) -> list[Package]:
        found: list[Package] = []
        uses = self._result.uses[package.name, package.version] = {}
        for name, wanted in sorted(package.dependencies.items()):
            try:
                version = self._version(name, wanted)
                if version is None or len(self._seen) >= _MOST:
                    self._result.missing.append(f"{name}#{wanted} (for {package.label})")
                    continue
                uses[name] = version
                if (name, version) not in self._seen and (name, version) not in self._installed:
                    found.append(self._read(name, version))
            except FhirError as error:
                self._result.missing.append(f"{name}#{wanted} (for {package.label}): {error}")
        return found

    def _version(self, name: str, wanted: str) -> str | None:
        """What the tenant has comes before what the cache has, so that installing changes as little as possible."""
        mine = [version for known, version in (*self._installed, *self._seen) if known == name]
        version = chosen(wanted, mine) if wanted != "latest" else None
        found = version or chosen(wanted, [*mine, *self._available(name)])
        if found is not None:
            self._picked.setdefault(name, set()).add(found)
        return found


def users_of(name: str, version: str, used: Mapping[Version, Mapping[str, str]]) -> list[str]:
    """The labels of the packages that rest on this one, by what each uses."""
    return sorted(f"{by}#{of}" for (by, of), uses in used.items() if uses.get(name) == version and by != name)
