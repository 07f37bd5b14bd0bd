"""Several resources read, changed and written as one: the server's part of an operation.

The versions are validated and indexed like any others, and written in one round trip. Errors name the resource's
element; nothing is written then.
"""

from collections.abc import Iterable
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.resource_json import decode
from fhir_server.interactions import write
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.stage import new_id, stage, stage_deletion
from fhir_server.interactions.validated import accept
from fhir_server.storage.versions import NewVersion, Version

Name = tuple[str, str]


class Changes:
    """What is to be written together. `lock` shows only what the caller may read; writing is the server's."""

    def __init__(self, ctx: Context) -> None:
        self._caller = ctx
        self._ctx = as_server(ctx)
        self._heads: dict[Name, Version] = {}
        self._put: dict[Name, dict[str, Any]] = {}
        self._removed: dict[Name, None] = {}

    def lock(self, resource_type: str, resource_id: str) -> dict[str, Any]:
        """The resource, locked until the transaction ends; the dict is the caller's to change. Raises `NotFound` when
        it is missing, deleted or hidden."""
        return self.lock_all([(resource_type, resource_id)])[resource_type, resource_id]

    def lock_all(self, names: Iterable[Name]) -> dict[Name, dict[str, Any]]:
        """The same for several, locked in one order so that nobody waits in a circle."""
        wanted = list(dict.fromkeys(names))
        heads = write.lock_heads(self._caller, [name for name in wanted if name not in self._heads], "r")
        type_ids = self._ctx.registry.type_ids
        for name in wanted:
            if name not in self._heads:
                self._heads[name] = write.existing(heads.get((type_ids[name[0]], name[1])), *name)
        return {name: decode(self._heads[name].body) for name in wanted}

    def put(self, resource: dict[str, Any]) -> None:
        """Write the next version of a locked resource, unless it says nothing new."""
        name = resource["resourceType"], resource["id"]
        if name not in self._heads:
            raise LookupError("a resource is locked before it is changed")
        self._put[name] = resource

    def add(self, resource: dict[str, Any]) -> str:
        """Write a new resource, under its own id or a new one; the id."""
        named = {**resource, "id": resource.get("id") or new_id()}
        self._put[named["resourceType"], named["id"]] = named
        return str(named["id"])

    def remove(self, resource_type: str, resource_id: str) -> None:
        """Delete a resource, if it is there."""
        self._removed[resource_type, resource_id] = None

    def version(self, resource_type: str, resource_id: str) -> int:
        """The number of the version that was locked."""
        return self._heads[resource_type, resource_id].version

    def rid(self, resource_type: str, resource_id: str) -> int:
        """The row of a locked resource, or after `run` of a written one."""
        return self._heads[resource_type, resource_id].rid

    def run(self) -> dict[str, dict[str, Any]]:
        """Write it all; what is stored now, by `Type/id`. Raises `Unprocessable` for what is not valid, and `Conflict`
        when time is taken."""
        missing = [name for name in self._removed if name not in self._heads]
        found = write.lock_heads(self._ctx, missing, "d") if missing else {}
        news: list[NewVersion] = []
        for name in self._removed:
            head = self._heads.get(name) or found.get((self._ctx.registry.type_ids[name[0]], name[1]))
            if head is not None and not head.deleted:
                news.append(stage_deletion(self._ctx, head))
        for name, resource in self._put.items():
            new = self._staged(name, resource)
            if new is not None:
                news.append(new)
        if news:
            with self._ctx.db.hold():
                write.store(self._ctx, news)
        type_names = self._ctx.registry.type_names
        for new in news:
            self._heads[type_names[new.type_id], new.id] = write.as_version(new)
        written = {f"{kind}/{id_}": decode(self._heads[kind, id_].body) for kind, id_ in self._put}
        self._put, self._removed = {}, {}
        return written

    def _staged(self, name: Name, resource: dict[str, Any]) -> NewVersion | None:
        accept(self._ctx, resource, expected_type=name[0])
        head = self._heads.get(name)
        if head is None:
            return stage(self._ctx, resource, name[1])
        return write.stage_update(self._ctx, *name, resource, head)
