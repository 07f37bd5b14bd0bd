"""The site's own store of packages: `packages/name#version.tgz` in the data folder, filled by the operator.

As in others' caches (`~/.fhir/packages`), a name and a version are one entry; here an entry is the archive itself.
"""

import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.conformance.packages.content import NAME, VERSION, read_manifest
from fhir_server.conformance.packages.tar import LIMITS
from fhir_server.core.errors import FhirError, NotFound, TooLarge
from fhir_server.settings import settings


def folder() -> Path:
    """Where the packages are. It need not be there."""
    return Path(settings.data_dir) / "packages"


def held() -> list[tuple[str, str]]:
    """(name, version) of every package in the cache, by name."""
    return sorted(_entries())


def _entries() -> Iterator[tuple[str, str]]:
    for path in folder().glob("*#*.tgz"):
        name, _, version = path.name.removesuffix(".tgz").partition("#")
        if NAME.match(name) and VERSION.match(version):
            yield name, version


def versions(name: str) -> list[str]:
    """The versions of a package that are in the cache."""
    return [version for known, version in _entries() if known == name]


def read(name: str, version: str) -> bytes:
    """The archive of a package. Raises `NotFound` when the cache has none."""
    if (name, version) not in set(_entries()):
        raise NotFound(f"The cache has no {name}#{version}. The operator adds it: fhir-server package add FILE.")
    return read_file(_path(name, version))


def read_file(path: Path) -> bytes:
    """An archive outside of the cache. Raises `TooLarge` before more than the limit is read."""
    if path.stat().st_size > LIMITS.packed:
        raise TooLarge(f"{path.name} has {path.stat().st_size} bytes; at most {LIMITS.packed} are taken.")
    return path.read_bytes()


def manifests() -> Iterator[dict[str, Any]]:
    """The manifest of every package in the cache, by name; without what was damaged there."""
    for name, version in held():
        path = _path(name, version)
        try:
            yield _manifest(path, path.stat().st_mtime_ns)
        except (FhirError, OSError):
            continue


@lru_cache(maxsize=256)
def _manifest(path: Path, changed: int) -> dict[str, Any]:
    return read_manifest(read_file(path))


def add(name: str, version: str, data: bytes) -> bool:
    """Keep an archive that was read as this package. False when another one was there, which is replaced."""
    folder().mkdir(parents=True, exist_ok=True)
    path = _path(name, version)
    fresh = not path.exists()
    # Written aside and moved: who reads at this moment sees the old one or the new one, whole.
    handle, aside = tempfile.mkstemp(dir=folder(), suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(aside, 0o644)
    os.replace(aside, path)
    return fresh


def drop(name: str, version: str) -> None:
    """Take a package out of the cache; tenants that installed it keep it. Raises `NotFound`."""
    if (name, version) not in set(_entries()):
        raise NotFound(f"The cache has no {name}#{version}.")
    _path(name, version).unlink()


def _path(name: str, version: str) -> Path:
    return folder() / f"{name}#{version}.tgz"
