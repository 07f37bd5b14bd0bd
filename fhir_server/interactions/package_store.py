"""Writing what packages brought, and deleting what no package brings any more, in one round trip."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from fhir_server.conformance.packages.content import Package, dependencies_of, fitting_id
from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict
from fhir_server.core.references import ID
from fhir_server.core.resource_json import decode
from fhir_server.interactions import packaged, write
from fhir_server.interactions.package_checks import Checked
from fhir_server.interactions.stage import UPDATE, stage, stage_deletion
from fhir_server.storage.packages import PackageRow
from fhir_server.storage.versions import NewVersion, Version

Name = tuple[str, str]
Heads = Mapping[tuple[int, str], Version]


def store_packages(
    server: Context,
    packages: Sequence[tuple[Package, Checked]],
    gone: Sequence[PackageRow],
    pulse: Callable[[], None],
) -> list[PackageRow]:
    """Write the packages' resources and delete those of `gone` that are not among them; a row for each package, which
    is the caller's to save. `server`: may write everything; its registry has the packages' search parameters already.

    A resource keeps its id, unless that is somebody else's. `pulse` is called between the resources.
    """
    freed: set[Name] = {_split(name) for row in gone for name in row.manifest.get("resources", ())}
    wanted = [(r.type, id_) for package, each in packages for r in each.resources for id_ in _ids(r.id, package)]
    heads = write.lock_heads(server, {*freed, *wanted}, "u")
    taken: set[Name] = set()
    news: list[NewVersion] = []
    rows = []
    for package, each in packages:
        names = []
        for resource in each.resources:
            pulse()
            name = _free(server, resource.type, _ids(resource.id, package), heads, freed, taken)
            taken.add(name)
            names.append("/".join(name))
            content = packaged.tagged({**resource.content(), "id": name[1]}, package.label)
            news.append(_staged(server, name, content, heads))
        rows.append(_row(package, names))
    news += _deletions(server, sorted(freed - taken), heads)
    if news:
        write.store(server, news)
    return rows


def _deletions(server: Context, names: Iterable[Name], heads: Heads) -> Iterable[NewVersion]:
    for kind, id_ in names:
        head = heads.get((server.registry.type_ids[kind], id_))
        if head is not None and not head.deleted:
            yield stage_deletion(server, head)


def _ids(id_: str, package: Package) -> list[str]:
    """The ids that a resource may get, the first that is free."""
    second = f"{id_}-{package.version}"
    second = second if ID.match(second) else fitting_id(second)
    return [id_, second, fitting_id(f"{id_}-{package.label}")]


def _free(
    server: Context, kind: str, ids: Iterable[str], heads: Heads, freed: Collection[Name], taken: Collection[Name]
) -> Name:
    for id_ in ids:
        head = heads.get((server.registry.type_ids[kind], id_))
        if (kind, id_) not in taken and (head is None or head.deleted or (kind, id_) in freed):
            return kind, id_
    raise Conflict(f"The ids {', '.join(ids)} of {kind} are taken by other resources.")


def _staged(server: Context, name: Name, content: dict[str, Any], heads: Heads) -> NewVersion:
    head = heads.get((server.registry.type_ids[name[0]], name[1]))
    before = decode(head.body) if head is not None and not head.deleted else None
    return stage(server, content, name[1], head=head, before=before, method=UPDATE)


def _row(package: Package, names: list[str]) -> PackageRow:
    said = {key: package.manifest[key] for key in ("title", "canonical", "url") if key in package.manifest}
    kept = {**said, "dependencies": dict(dependencies_of(package.manifest)), "resources": names}
    return PackageRow(package.name, package.version, package.digest, kept, len(names), asked=False)


def _split(name: str) -> Name:
    kind, _, id_ = name.partition("/")
    return kind, id_
