"""dev.py needs nothing but the standard library, and does not install twice."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """dev.py as a module, working on a scratch checkout."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, place in {"ROOT": ".", "VENV": ".venv", "PYTHON": ".venv/bin/python", "MARKER": ".venv/m.json"}.items():
        monkeypatch.setattr(module, name, tmp_path / place)
    (tmp_path / "requirements.lock").write_text("a==1")
    (tmp_path / "requirements-dev.lock").write_text("a==1\nb==2")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    return module


def test_help_names_every_verb_without_any_package() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "dev.py")], check=True, capture_output=True, text=True
    )
    for verb in ("run", "test", "lint", "bench", "load", "migrate", "clean", "lock"):
        assert f"  {verb} " in done.stdout


def test_an_environment_that_is_as_locked_is_left_alone(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be installed"))
    dev.MARKER.write_text(json.dumps(dev.wanted_state("requirements.lock")))
    dev.environment("requirements.lock")


@pytest.mark.parametrize("change", ["lock", "python", "place", "marker"])
def test_what_changed_is_installed_anew(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        called.append(command)
        return subprocess.CompletedProcess(command, 0)

    state = dev.wanted_state("requirements.lock")
    state.update({} if change in ("lock", "marker") else {change: "another"})
    dev.MARKER.write_text(json.dumps(state))
    if change == "lock":
        (dev.ROOT / "requirements.lock").write_text("a==2")
    if change == "marker":
        dev.MARKER.unlink()

    def empty() -> None:
        dev.MARKER.unlink(missing_ok=True)

    monkeypatch.setattr(dev, "create_environment", empty)
    monkeypatch.setattr(dev, "link_project", lambda: None)
    monkeypatch.setattr(dev.subprocess, "run", run)
    dev.environment("requirements.lock")
    assert "--require-hashes" in called[0]
    dev.environment("requirements.lock")
    assert len(called) == 1


def test_the_development_environment_serves_for_running_too(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "link_project", lambda: None)
    monkeypatch.setattr(dev, "create_environment", lambda: None)
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: done)
    dev.environment("requirements-dev.lock")
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be installed"))
    dev.environment("requirements.lock")


def test_a_failed_installation_is_not_taken_for_a_whole_one(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "create_environment", lambda: None)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match="could not be installed"):
        dev.environment("requirements.lock")
    assert not dev.MARKER.exists()
