"""The compiled definitions in the tree are those that the script makes of the official package."""

import gzip
import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from fhir_server.conformance.definitions import R4
from tests.shared_data import needs_shared, shared_file

SCRIPT = R4.parent / "compile_r4.py"


def script() -> ModuleType:
    """profiles/compile_r4.py as a module."""
    spec = importlib.util.spec_from_file_location("compile_r4", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents(folder: Path) -> dict[str, bytes]:
    """What the compiled files of a folder hold, by name; of archives, each member by `archive/member`."""
    found = {path.name: gzip.decompress(path.read_bytes()) for path in folder.glob("*.gz")}
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            found |= {f"{path.name}/{name}": archive.read(name) for name in archive.namelist()}
    return found


@needs_shared
def test_the_tree_holds_what_the_script_makes(tmp_path: Path) -> None:
    package = shared_file("fhir-r4/hl7.fhir.r4.core-4.0.1.tgz")
    assert script().main([str(package), str(tmp_path)]) == 0
    made, held = contents(tmp_path), contents(R4)
    assert made.keys() == held.keys()
    for name, content in made.items():
        assert content == held[name], f"{name} is not what compile_r4.py makes"


def test_prose_is_dropped_below_the_first_level_only() -> None:
    source = {"name": "kept", "concept": [{"code": "a", "definition": "prose", "display": "A"}]}
    assert script().strip_prose(source) == {"name": "kept", "concept": [{"code": "a", "display": "A"}]}


def test_without_arguments_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert script().main([]) == 2
    assert "compile_r4.py" in capsys.readouterr().out


def test_compiled_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in R4.glob("*.json.gz")) < 2_000_000
    assert sum(path.stat().st_size for path in R4.glob("*.zip")) < 2_500_000
