"""$packages, $install-package, $remove-package (profiles/conformance/operations/): what a tenant is checked by."""

from math import inf
from typing import Any

from fhir_server.conformance.packages import cache
from fhir_server.conformance.packages.content import Package, check_name, dependencies_of, read_package
from fhir_server.conformance.packages.dependencies import users_of
from fhir_server.conformance.packages.versions import LATEST
from fhir_server.core.binaries import content_of
from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Forbidden, Invalid, NotFound
from fhir_server.interactions import packages as installing
from fhir_server.interactions.packages import Done, Wishes
from fhir_server.operations.call import OperationCall
from fhir_server.operations.definitions_rights import check_may_change, may_change
from fhir_server.security import policy
from fhir_server.storage.packages import PackageRow

Json = dict[str, Any]
# How long what somebody sent may be checked. What is in the cache, the operator has put there.
_SECONDS = 20.0


def packages(ctx: Context, call: OperationCall) -> Json:
    """Parameters with a `package` for each that is installed, and, for who may install, an `available` for each in the
    cache. `name` (and `version`): only these, with the names of their resources."""
    may = may_change(ctx)
    if not may and not policy.whole(ctx, "StructureDefinition", "r"):
        raise Forbidden("The installed packages are shown to who may read every StructureDefinition.")
    name, version = call.parameters.get("name"), call.parameters.get("version")
    present = installing.installed(ctx)
    used = {(row.name, row.version): row.manifest.get("uses", {}) for row in present}
    shown = [row for row in present if name in (None, row.name) and version in (None, row.version)]
    parameter = [_told(row, users_of(row.name, row.version, used), full=name is not None) for row in shown]
    if may:
        there = {(row.name, row.version) for row in present}
        parameter += [
            _available(each, (each["name"], each["version"]) in there)
            for each in cache.manifests() if name in (None, each["name"]) and version in (None, each["version"])
        ]  # fmt: skip
    if name is not None and not parameter:
        raise NotFound("No such package is installed or in the cache.", expression="http.name")
    return {"resourceType": "Parameters", "parameter": parameter}


def install(ctx: Context, call: OperationCall) -> Json:
    """Install a package of the cache by name, or the one in the body, with what it needs. Parameters with a `package`
    for each that is new, `removed` for each that it replaced, and `note`s."""
    check_may_change(ctx, "install packages")
    given = call.parameters
    wishes = Wishes(*(given.get(name, False) for name in ("replace", "without-missing", "without-invalid", "examples")))
    seconds = _SECONDS if "content" in given else inf
    return _answer(installing.install(ctx, _wanted(ctx, given, wishes), wishes, seconds=seconds))


def _wanted(ctx: Context, given: Json, wishes: Wishes) -> Package:
    name, content = given.get("name"), given.get("content")
    if (name is None) == (content is None):
        raise Invalid("Give the name of a package in the cache, or content: a Binary with the .tgz.")
    if name is not None:
        check_name(name)
        return installing.from_cache(ctx, name, given.get("version", LATEST), examples=wishes.examples)
    assert content is not None
    return read_package(content_of(content), ctx.registry, examples=wishes.examples)


def remove(ctx: Context, call: OperationCall) -> Json:
    """Delete what a package brought; versions of it stay in the history. Parameters with `removed` and `note`s."""
    check_may_change(ctx, "remove packages")
    return _answer(installing.remove(ctx, call.parameters["name"], call.parameters.get("version")))


def _answer(done: Done) -> Json:
    parameter = [_told(row, [], full=False) for row in done.installed]
    parameter += [{"name": "removed", "valueString": label} for label in done.removed]
    parameter += [{"name": "note", "valueString": note} for note in done.notes]
    return {"resourceType": "Parameters", "parameter": parameter}


def _told(row: PackageRow, users: list[str], *, full: bool) -> Json:
    parts: list[Json] = [
        {"name": "name", "valueString": row.name},
        {"name": "version", "valueString": row.version},
        *_described(row.manifest),
        {"name": "resources", "valueInteger": row.resources},
        {"name": "asked", "valueBoolean": row.asked},
        {"name": "digest", "valueString": row.digest.hex()},
    ]
    if row.installed_at:
        parts.append({"name": "installed", "valueInstant": format_instant(row.installed_at)})
    uses = sorted(row.manifest.get("uses", {}).items())
    parts += [{"name": "uses", "valueString": f"{name}#{version}"} for name, version in uses]
    parts += [{"name": "used-by", "valueString": label} for label in users]
    if full:
        parts += [{"name": "resource", "valueString": name} for name in row.manifest.get("resources", ())]
    return {"name": "package", "part": parts}


def _available(manifest: Json, there: bool) -> Json:
    parts: list[Json] = [
        {"name": "name", "valueString": manifest["name"]},
        {"name": "version", "valueString": manifest["version"]},
        *_described(manifest),
        {"name": "is-installed", "valueBoolean": there},
    ]
    needed = sorted(dependencies_of(manifest).items())
    parts += [{"name": "needs", "valueString": f"{name}#{wanted}"} for name, wanted in needed]
    return {"name": "available", "part": parts}


def _described(manifest: Any) -> list[Json]:
    said = (("title", "valueString"), ("canonical", "valueUri"))
    return [{"name": name, kind: str(manifest[name])} for name, kind in said if manifest.get(name)]
