"""fhir-kit-client (npm): create, read, update, patch, search with paging, transaction, delete.

The client is installed from node/package-lock.json into a cache folder, once per content of that file.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fhir_server.settings import ROOT
from tests.rest.bodies import mark

HERE = Path(__file__).parent / "node"
NODE, NPM = shutil.which("node"), shutil.which("npm")
OLDEST = 20

pytestmark = pytest.mark.skipif(NODE is None or NPM is None, reason="node and npm are not installed here")


def _major() -> int:
    said = subprocess.run([str(NODE), "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("v").partition(".")[0])


@pytest.fixture(scope="module")
def installed() -> Path:
    """A folder with the script and its packages, outside the checkout's versioned files."""
    if _major() < OLDEST:
        pytest.skip(f"fhir-kit-client needs node {OLDEST}")
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / ".pytest_cache" / f"node-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "kit.js"):
        shutil.copy(HERE / name, folder / name)
    if not (folder / "complete").exists():
        command = [str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240)
        if done.returncode:
            pytest.skip(f"npm could not install fhir-kit-client: {done.stderr.strip()[-200:]}")
        (folder / "complete").touch()
    return folder


def test_fhir_kit_client(installed: Path, base: str, token: str) -> None:
    word = mark()
    done = subprocess.run(
        [str(NODE), "kit.js", base, word],
        cwd=installed,
        env={**os.environ, "FHIR_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "fhirVersion": "4.0.1",
        "read": word,
        "updated": ["2", "female"],
        "older": None,
        "patched": "other",
        "history": 3,
        "transaction": ["201"] * 24,
        "pages": 5,
        "found": [23, 23],
        "posted": 2,
        "resolved": True,
        "deleted": 410,
        "refused": ["Patient.gender"],
    }
