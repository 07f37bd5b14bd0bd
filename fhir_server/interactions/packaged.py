"""What a package brought stays as it is: clients change it by installing another version or removing the package."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.conformance.packages.content import definitional_types
from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.interactions.definitions import PACKAGE
from fhir_server.storage.versions import NewVersion

_MARK = PACKAGE.encode()


def check(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Raise `Conflict` when one of the versions changes or deletes what a package brought, and `Unprocessable` when a
    client says of its own that it came with one."""
    for new in news:
        old = new.old.body if new.old is not None and not new.old.deleted else b""
        # Most resources are settled by one look at their bytes.
        if _MARK not in old and _MARK not in new.body:
            continue
        name = ctx.registry.type_names[new.type_id]
        if name not in definitional_types(ctx.registry):
            continue
        for code in packages_of(decode(old) if old else {}):
            raise Conflict(
                f"{name}/{new.id} came with the package {code}. Remove the package, or install another version of it;"
                " to change it, store a copy under an url of your own.",
                expression=f"{name}.meta.tag",
            )
        for _ in packages_of(decode(new.body) if new.body else {}):
            raise Unprocessable(
                f"The tag {PACKAGE} says that a package brought this: only $install-package sets it.",
                expression=f"{name}.meta.tag",
            )


def packages_of(resource: Mapping[str, Any]) -> Iterator[str]:
    """The packages (`name#version`) that a resource says it came with."""
    for tag in resource.get("meta", {}).get("tag", ()):
        if tag.get("system") == PACKAGE:
            yield tag.get("code", "")


def tagged(resource: dict[str, Any], package: str) -> dict[str, Any]:
    """The resource as a package brings it: with the package's tag, and without any other of that kind."""
    meta = resource.get("meta", {})
    others = [tag for tag in meta.get("tag", ()) if tag.get("system") != PACKAGE]
    return {**resource, "meta": {**meta, "tag": [*others, {"system": PACKAGE, "code": package}]}}
