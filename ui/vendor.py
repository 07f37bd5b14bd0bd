"""Places the libraries of `packages.json` into `static/vendor/`, from the npm registry: python -m ui.vendor NPM...

Each package is one archive, compared with its digest in the table; what else it would depend on is not fetched, for a
browser needs only the built files. Nothing but the standard library, because it runs at set-up. `NPM...` is the command
by which npm is called.
"""

import base64
import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
TARGET = FOLDER / "static" / "vendor"
_TABLE = FOLDER / "packages.json"
_MARKER = TARGET / "placed.txt"


def is_placed() -> bool:
    """Whether the folder holds just what the table says."""
    return _MARKER.is_file() and _MARKER.read_text() == _state()


def place(npm: Sequence[str]) -> None:
    """Fetch every package and put its files into the folder; all of them, or the folder stays as it was."""
    packages: dict[str, Any] = json.loads(_TABLE.read_text())
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET.parent) as folder:
        made = Path(folder) / "vendor"
        made.mkdir(mode=0o755)
        for name, package in packages.items():
            _unpack(_fetched(npm, name, package, folder), package["files"], made)
        (made / _MARKER.name).write_text(_state())
        shutil.rmtree(TARGET, ignore_errors=True)
        os.replace(made, TARGET)


def _state() -> str:
    return hashlib.sha256(_TABLE.read_bytes()).hexdigest()


def _fetched(npm: Sequence[str], name: str, package: dict[str, Any], folder: str) -> Path:
    wanted = f"{name}@{package['version']}"
    command = [*npm, "pack", wanted, "--silent", "--pack-destination", folder]
    done = subprocess.run(command, check=False, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"ui/vendor.py: npm could not fetch {wanted}; its message is above (it needs the network once).")
    archive = Path(folder) / done.stdout.strip().splitlines()[-1]
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package["integrity"]:
        sys.exit(f"ui/vendor.py: {wanted} is not what packages.json says it is.")
    return archive


def _unpack(archive: Path, files: dict[str, str], made: Path) -> None:
    with tarfile.open(archive) as tar:
        members = {member.name.partition("/")[2]: member for member in tar.getmembers() if member.isfile()}
        for pattern, place in files.items():
            found = fnmatch.filter(members, pattern)
            if not found:
                sys.exit(f"ui/vendor.py: {archive.name} has no {pattern}.")
            for name in found:
                path = made / place / Path(name).name if place.endswith("/") else made / place
                path.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(members[name])
                assert content is not None
                path.write_bytes(content.read())


if __name__ == "__main__":
    place(sys.argv[1:])
