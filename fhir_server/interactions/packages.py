"""Installing a package in a tenant and removing it: its resources, as ordinary resources, in one transaction.

https://hl7.org/fhir/packages
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic

from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.packages import cache
from fhir_server.conformance.packages.content import CORE, Package, definitional_types, read_package
from fhir_server.conformance.packages.dependencies import Resolved, Resolver, users_of
from fhir_server.conformance.packages.notes import Notes
from fhir_server.conformance.packages.versions import chosen, fits
from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, FhirError, Issue, NotFound, TooCostly, Unavailable, Unprocessable
from fhir_server.core.keys import key64
from fhir_server.interactions import package_search_parameters
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.package_checks import Checked, PackageFinder, check_package
from fhir_server.interactions.package_store import store_packages
from fhir_server.security import policy
from fhir_server.storage import locks
from fhir_server.storage import packages as rows
from fhir_server.storage.packages import PackageRow

Name = tuple[str, str]
_MOST_NOTES = 200
_SILENCE = 5.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """`replace`: remove other versions of the package; `without_missing`: go on although dependencies are not to be
    had; `without_invalid`: leave out what cannot be used instead of refusing all of it; `examples`: take examples."""

    replace: bool = False
    without_missing: bool = False
    without_invalid: bool = False
    examples: bool = False


@dataclass(slots=True)
class Done:
    """What changed. `installed`: dependencies first; empty when everything was there already."""

    installed: list[PackageRow] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def installed(ctx: Context) -> list[PackageRow]:
    """The tenant's packages, by name and version."""
    with ctx.db.hold():
        return rows.all_packages(ctx.db, ctx.tenant.id)


def from_cache(ctx: Context, name: str, wanted: str, *, examples: bool = False) -> Package:
    """A package of the cache, in the highest version that fits. Raises `NotFound`, naming the versions there are."""
    if name in CORE:
        raise Conflict(f"{name} 4.0.1 is built in; there is nothing to install.")
    available = cache.versions(name)
    version = chosen(wanted, available)
    if version is None:
        there = f"It has {', '.join(sorted(available))}." if available else "The operator adds it: package add FILE."
        raise NotFound(f"The cache has no {name}#{wanted}. {there}", expression="http.name")
    return _checked_name(read_package(cache.read(name, version), ctx.registry, examples=examples), name, version)


def _checked_name(package: Package, name: str, version: str) -> Package:
    if (package.name, package.version) != (name, version):
        raise Unprocessable(f"The cache's {name}#{version} says that it is {package.label}. Add it again.")
    return package


def install(ctx: Context, package: Package, wishes: Wishes, *, seconds: float = inf) -> Done:
    """Store a package and what it needs. Nothing is changed when it is there already.

    Raises `Conflict` for another content under a name and version that is installed, and `Unprocessable` with
    everything that is missing or cannot be used, `TooCostly` when checking takes more than `seconds`. The transaction
    is held, so an error undoes all of it.
    """
    if package.name in CORE:
        raise Conflict(f"{package.name} 4.0.1 is built in; there is nothing to install.")
    present = _locked(ctx)
    known = next((row for row in present if row.label == package.label), None)
    if known is not None:
        return _again(ctx, known, package)
    package = _permitted(ctx, package)
    gone = [row for row in present if wishes.replace and row.name == package.name]
    kept = [row for row in present if row not in gone]
    resolved = _resolve(ctx, package, kept, wishes)
    moved = _moved(kept, gone, package)
    done = Done(removed=[row.label for row in gone], notes=[f"Missing: {each}." for each in resolved.missing])
    done.notes += [f"{each}. They stand side by side; a canonical without version means the highest." for each in
                   resolved.conflicts]  # fmt: skip
    pulse = _Pulse(ctx, seconds)
    checked, registry = _check(ctx, resolved.packages, wishes, done, pulse)
    done.installed = store_packages(replace(as_server(ctx), registry=registry), checked, gone, pulse)
    for row in gone:
        rows.remove(ctx.db, ctx.tenant.id, row.name, row.version)
    for row in moved:
        rows.save(ctx.db, ctx.tenant.id, row)
    done.installed = [
        replace(row, asked=each is package, manifest={**row.manifest, "uses": resolved.uses[each.name, each.version]})
        for each, row in zip(resolved.packages, done.installed, strict=True)
    ]
    for row in done.installed:
        rows.save(ctx.db, ctx.tenant.id, row)
    if len(done.notes) > _MOST_NOTES:
        done.notes[_MOST_NOTES:] = [f"And {len(done.notes) - _MOST_NOTES} more."]
    return done


def remove(ctx: Context, name: str, version: str | None) -> Done:
    """Delete what a package brought; its history stays. Raises `NotFound`, and `Conflict` while others rest on it."""
    present = _locked(ctx)
    mine = [row for row in present if row.name == name and version in (None, row.version)]
    if not mine:
        raise NotFound(f"{name}{f'#{version}' if version else ''} is not installed.", expression="http.name")
    if len(mine) > 1:
        there = ", ".join(row.version for row in mine)
        raise Conflict(f"{name} is installed in several versions: {there}. Say which.", expression="http.version")
    row = mine[0]
    users = users_of(row.name, row.version, _used(present))
    if users:
        raise Conflict(f"{row.label} is used by {', '.join(users)}. Remove that first.", expression="http.name")
    done = Done(removed=[row.label])
    store_packages(as_server(ctx), [], [row], _Pulse(ctx))
    rows.remove(ctx.db, ctx.tenant.id, row.name, row.version)
    left = [other for other in present if other is not row]
    used = _used(left)
    for other_name, other_version in row.manifest.get("uses", {}).items():
        other = next((each for each in left if (each.name, each.version) == (other_name, other_version)), None)
        if other and not other.asked and not users_of(other_name, other_version, used):
            done.notes.append(f"{other.label} came as a dependency, and nothing uses it any more.")
    return done


def _permitted(ctx: Context, package: Package) -> Package:
    """The package without examples of what the caller could not create himself: data of patients, and the audit log."""
    definitional = definitional_types(ctx.registry)
    barred = {each.type for each in package.resources if each.type not in definitional and not _creates(ctx, each.type)}
    if not barred:
        return package
    note = f"Examples of {', '.join(sorted(barred))} are left out: you may not create them."
    kept = tuple([each for each in package.resources if each.type not in barred])
    return replace(package, resources=kept, notes=(*package.notes, note))


def _creates(ctx: Context, kind: str) -> bool:
    try:
        policy.allow(ctx, "create", kind)
    except FhirError:
        return False
    return policy.whole(ctx, kind, "c")


class _Pulse:
    """Called between pieces of work that last: the database ends transactions from which it hears nothing for a minute,
    and what somebody sent may not keep the server busy for as long as he likes."""

    def __init__(self, ctx: Context, seconds: float = inf) -> None:
        self._db, self._heard, self._end = ctx.db, monotonic(), monotonic() + seconds

    def __call__(self) -> None:
        now = monotonic()
        if now > self._end:
            raise TooCostly("Checking this package takes too long. The operator installs it from the cache.")
        if now - self._heard > _SILENCE:
            locks.go_on(self._db)
            self._heard = now


def _locked(ctx: Context) -> list[PackageRow]:
    """The tenant's packages, which nobody else changes until the transaction ends. Raises `Unavailable` when somebody
    does: to wait would take a web process from everybody for as long as a package is checked."""
    if not locks.try_lock(ctx.db, key64(f"{ctx.tenant.id}\x1fpackages")):
        raise Unavailable(
            "Another package is being installed or removed here. Try again in a moment.",
            code="lock-error",
            headers={"Retry-After": "2"},
        )
    return rows.all_packages(ctx.db, ctx.tenant.id)


def _again(ctx: Context, known: PackageRow, package: Package) -> Done:
    if known.digest != package.digest:
        raise Conflict(
            f"{known.label} is installed with another content. What changes needs a new version; or remove the package"
            " first.",
            expression="http.version",
        )
    if not known.asked:
        rows.save(ctx.db, ctx.tenant.id, replace(known, asked=True))
    return Done(notes=[f"{known.label} is installed already."])


def _resolve(ctx: Context, package: Package, present: Sequence[PackageRow], wishes: Wishes) -> Resolved:
    def read(name: str, version: str) -> Package:
        return _checked_name(read_package(cache.read(name, version), ctx.registry), name, version)

    there = [(row.name, row.version) for row in present]
    resolved = Resolver(there, cache.versions, read).resolve(package)
    if resolved.missing and not wishes.without_missing:
        raise Unprocessable(
            f"{package.label} needs what is neither installed nor in the cache: {'; '.join(resolved.missing)}."
            " The operator adds them (fhir-server package add FILE); without-missing goes on without them.",
            expression="http.without-missing", code="not-found",
        )  # fmt: skip
    return resolved


def _used(present: Iterable[PackageRow]) -> dict[Name, Mapping[str, str]]:
    return {(row.name, row.version): row.manifest.get("uses", {}) for row in present}


def _moved(kept: Sequence[PackageRow], gone: Sequence[PackageRow], package: Package) -> list[PackageRow]:
    """The packages that used a version which is replaced, now with the new one. Raises `Conflict` when one wants the
    old one and no other."""
    moved = []
    old = {row.version for row in gone}
    for row in kept:
        if row.manifest.get("uses", {}).get(package.name) in old:
            wanted = row.manifest.get("dependencies", {}).get(package.name, "")
            if not fits(wanted, package.version):
                raise Conflict(f"{row.label} needs {package.name}#{wanted}; install the new version beside it.")
            uses = {**row.manifest["uses"], package.name: package.version}
            moved.append(replace(row, manifest={**row.manifest, "uses": uses}))
    return moved


def _check(
    ctx: Context, packages: Sequence[Package], wishes: Wishes, done: Done, pulse: _Pulse
) -> tuple[list[tuple[Package, Checked]], Registry]:
    """What will be stored of each package, and the registry as it is then."""
    definitions = Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id)
    finder = PackageFinder(packages, definitions.find)
    checked = [(package, check_package(package, ctx.registry, finder, pulse)) for package in packages]
    issues = [issue for _, each in checked for issue in each.issues]
    if issues and not wishes.without_invalid:
        last = Issue("information", "informational", "Nothing was installed. without-invalid leaves these out.")
        raise Unprocessable(issues=[*issues, last])
    done.notes += [f"Left out: {issue.text}" for issue in issues]
    parameters = [r.content() for _, each in checked for r in each.resources if r.type == "SearchParameter"]
    reasons, registry = package_search_parameters.sort_out(parameters, ctx.registry)
    for _, each in checked:
        left_out = {id(r): r for r in each.resources if r.type == "SearchParameter" and r.url in reasons}
        each.resources = [r for r in each.resources if id(r) not in left_out]
        notes = Notes()
        for resource in left_out.values():
            notes.add(resource.file, f"left out: {reasons[resource.url]}.")
        done.notes += [*each.notes, *notes.sentences()]
    return checked, registry
