"""fhir-server package add|list|show|install|remove|build"""

import hashlib
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.cli.loading import LoadRefused
from fhir_server.conformance.packages import cache, own_package
from fhir_server.conformance.packages.content import Package, read_package
from fhir_server.conformance.packages.packed import packed
from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Principal
from fhir_server.core.errors import FhirError, Invalid
from fhir_server.core.messages import FHIR_JSON, FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest import dispatch
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.supervisor.instance import database

OPERATOR = Principal("fhir-server package", parse_scopes("system/*.rs operator"), None, purpose="HOPERAT")
Json = dict[str, Any]
# How often it is tried again while others change the tenant's packages.
_PATIENCE = 30


@click.group()
def package() -> None:
    """Keep packages of definitions (implementation guides), and install them in tenants."""


def _split(text: str) -> tuple[str, str | None]:
    """NAME, NAME@VERSION or NAME#VERSION."""
    name, _, version = text.replace("#", "@").partition("@")
    return name, version or None


def _call(slug: str, operation: str, given: list[Json], *, posted: bool = True) -> Json:
    """Call a $-operation of a tenant as the operator. Raises `LoadRefused` with what the OperationOutcome says."""
    body = encode({"resourceType": "Parameters", "parameter": given}) if posted else b""
    query = [] if posted else [(each["name"], each["valueString"]) for each in given]
    headers = {"content-type": FHIR_JSON}
    request = FhirRequest("POST" if posted else "GET", f"${operation}", query, headers, body, settings.fhir_base(slug))
    response = dispatch.handle(request, slug, principal=OPERATOR)
    for _ in range(_PATIENCE):
        if response.status != 503:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
        response = dispatch.handle(request, slug, principal=OPERATOR)
    answer: Json = decode(response.body or b"{}")
    if response.status >= 400:
        raise LoadRefused(answer)
    return answer


def _texts(name: str, *values: str | None) -> list[Json]:
    return [{"name": name, "valueString": value} for value in values if value]


def _rows(answer: Json, name: str) -> list[Json]:
    """The parameters of a name, each as a dict of its parts (a list where one repeats), or its value."""
    found = []
    for each in answer.get("parameter", []):
        if each["name"] == name:
            row: Json = {}
            for part in each.get("part", ()):
                value = next(part[key] for key in part if key.startswith("value"))
                if part["name"] in ("uses", "used-by", "needs", "resource"):
                    row.setdefault(part["name"], []).append(value)
                else:
                    row[part["name"]] = value
            found.append(row or {"value": next(each[key] for key in each if key.startswith("value"))})
    return found


@package.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, path_type=Path))
@options.as_json
@options.data
def add(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check packages and put them into the cache: .tgz files, or unpacked folders like ~/.fhir/packages/NAME#VERSION.

    Every file is read whole, so that what the cache has can be installed.
    """
    added: list[Json] = []
    for path in paths:
        try:
            data = _folder(path) if path.is_dir() else cache.read_file(path)
            read = read_package(data, base_registry())
            fresh = cache.add(read.name, read.version, data)
            added.append({**_shown(read), "file": str(path), "status": "added" if fresh else "replaced"})
        except (FhirError, OSError) as error:
            added.append({"file": str(path), "status": "refused", "message": str(error)})
    lines = [f"{row['status']:<9} {_label(row)}  {row.get('message', '')}".rstrip() for row in added]
    options.show(added, as_json, "\n".join(lines))
    return 1 if any(row["status"] == "refused" for row in added) else 0


def _folder(path: Path) -> bytes:
    """The archive of an unpacked package."""
    found = {f"package/{each.name}": each for each in sorted(path.glob("package/*.json")) if each.is_file()}
    if not found:
        raise Invalid(f"{path} holds no unpacked package: there is no package/*.json.")
    return packed({name: cache.read_file(each) for name, each in found.items()})


def _label(row: Json) -> str:
    return f"{row['name']}#{row['version']}" if "name" in row else str(row["file"])


def _shown(read: Package) -> Json:
    return {
        "name": read.name, "version": read.version, "resources": len(read.resources),
        "dependencies": dict(read.dependencies), "digest": read.digest.hex(), "notes": list(read.notes),
    }  # fmt: skip


@package.command("list")
@click.option("--tenant", "slug", metavar="SLUG", help="What this tenant has installed; without it: the cache.")
@click.option("--cache", "cached", is_flag=True, help="What the cache holds (the default).")
@options.as_json
@options.data
def list_(slug: str | None, cached: bool, as_json: bool) -> None:
    """List the packages of the cache, or those that a tenant has installed."""
    if slug and cached:
        raise click.UsageError("--tenant and --cache are two lists; ask for one.")
    if slug is None:
        found: list[Json] = [{"name": name, "version": version} for name, version in cache.held()]
        lines = [_label(row) for row in found] or [f"The cache is empty ({cache.folder()})."]
    else:
        with database():
            found = _rows(_call(slug, "packages", [], posted=False), "package")
        lines = [f"{_label(row):<50} {row['resources']:>6}  {'' if row['asked'] else 'dependency'}".rstrip()
                 for row in found] or ["No package is installed."]  # fmt: skip
    options.show(found, as_json, "\n".join(lines))


@package.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.option("--tenant", "slug", metavar="SLUG", help="As installed in this tenant; else as in the cache.")
@options.as_json
@options.data
def show(name: str, slug: str | None, as_json: bool) -> None:
    """Show what a package holds and what it needs."""
    plain, version = _split(name)
    if slug is not None:
        with database():
            answer = _call(slug, "packages", _texts("name", plain) + _texts("version", version), posted=False)
        found = _rows(answer, "package")
    else:
        versions = [each for known, each in cache.held() if known == plain and version in (None, each)]
        read = [read_package(cache.read(plain, each), base_registry()) for each in versions]
        found = [{**_shown(each), "resource": [f"{r.type}/{r.id}" for r in each.resources]} for each in read]
    if not found:
        raise Invalid(f"There is no {name} {'in the cache' if slug is None else f'in {slug}'}.")
    options.show(found, as_json, "\n\n".join(map(_page, found)))


def _page(row: Json) -> str:
    lines = [_label(row), f"  digest     {row['digest']}"]
    for name, wanted in row.get("dependencies", {}).items():
        lines.append(f"  needs      {name}#{wanted}")
    for key in ("uses", "used-by", "resource"):
        lines += [f"  {key:<10} {value}" for value in row.get(key, ())]
    return "\n".join([*lines, *(f"  note       {note}" for note in row.get("notes", ()))])


@package.command()
@click.argument("name", metavar="NAME[@VERSION] | FILE")
@options.tenant
@click.option("--replace", is_flag=True, help="Remove other versions of it.")
@click.option("--without-missing", is_flag=True, help="Go on although something it needs is not in the cache.")
@click.option("--without-invalid", is_flag=True, help="Leave out resources that cannot be used.")
@click.option("--examples", is_flag=True, help="Store its examples, too.")
@options.as_json
@options.data
def install(name: str, slug: str, as_json: bool, **wishes: bool) -> None:
    """Install a package of the cache, or a FILE.tgz, in a tenant, all or nothing. It counts from the next request."""
    given = [{"name": wish.replace("_", "-"), "valueBoolean": True} for wish, wanted in wishes.items() if wanted]
    if name.endswith(".tgz"):
        data = b64encode(cache.read_file(Path(name))).decode()
        content = {"resourceType": "Binary", "contentType": "application/gzip", "data": data}
        given.append({"name": "content", "resource": content})
    else:
        plain, version = _split(name)
        given += _texts("name", plain) + _texts("version", version)
    settings.max_body_bytes = max(settings.max_body_bytes, 1 << 30)
    with database():
        _report(_call(slug, "install-package", given), as_json)


@package.command()
@click.argument("name", metavar="NAME[@VERSION]")
@click.option("--tenant", "slug", metavar="SLUG", help="From this tenant; without it: from the cache.")
@options.as_json
@options.data
def remove(name: str, slug: str | None, as_json: bool) -> None:
    """Remove a package from a tenant, or from the cache (tenants that installed it keep it)."""
    plain, version = _split(name)
    if slug is None:
        if version is None:
            raise click.UsageError("Of the cache, a package is removed by NAME@VERSION.")
        cache.drop(plain, version)
        options.show({"removed": [f"{plain}#{version}"]}, as_json, f"{plain}#{version} is out of the cache.")
        return
    with database():
        _report(_call(slug, "remove-package", _texts("name", plain) + _texts("version", version)), as_json)


def _report(answer: Json, as_json: bool) -> None:
    new, gone, notes = (_rows(answer, name) for name in ("package", "removed", "note"))
    told = {"installed": new, "removed": [row["value"] for row in gone], "notes": [row["value"] for row in notes]}
    lines = [f"installed  {_label(row)}  {row['resources']} resources" for row in new]
    lines += [f"removed    {label}" for label in told["removed"]] + [f"note       {note}" for note in told["notes"]]
    options.show(told, as_json, "\n".join(lines))


@package.command()
@click.option("--output", metavar="DIR", default=".", type=click.Path(file_okay=False, path_type=Path))
@options.as_json
def build(output: Path, as_json: bool) -> None:
    """Write this server's own guide (its profiles, codes, search parameters, operations) as a package."""
    name, version, data = own_package.build()
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}#{version}.tgz"
    path.write_bytes(data)
    told = {"file": str(path), "name": name, "version": version, "digest": hashlib.sha256(data).hexdigest()}
    options.show(told, as_json, f"{path}  {told['digest']}")
