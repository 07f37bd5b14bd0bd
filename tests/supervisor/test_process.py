"""A supervised program is started again when it dies, and stopped with everything it started."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fhir_server.settings import ROOT
from fhir_server.supervisor.process import Child

_PARENT = """
import subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(inner.pid, flush=True)
time.sleep(60)
"""
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Makes and starts a child that runs Python code."""
    made: list[Child] = []

    def start(code: str, **options: float) -> Child:
        one = Child("it", [sys.executable, "-c", code], tmp_path / "it.log", os.environ, **options)  # type: ignore[arg-type]
        one.start()
        made.append(one)
        return one

    yield start
    for one in made:
        one.stop_seconds = 0.1
        one.stop()


def _until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_program_is_started_again_with_growing_pauses(child: Callable[..., Child]) -> None:
    one = child("import time; time.sleep(60)")
    for pause in (0.1, 0.2):
        assert one.process is not None
        one.process.kill()
        one.process.wait()
        told = one.watch()
        assert told is not None
        assert "signal SIGKILL" in told
        before = time.monotonic()
        _until(lambda: one.watch() == "it started again")
        assert time.monotonic() - before >= pause * 0.9
    assert one.restarts == 2


def test_what_a_dead_program_started_is_killed_too(child: Callable[..., Child]) -> None:
    one = child(_PARENT)
    _until(lambda: one.log.exists() and one.log.read_text().strip())
    inner = int(one.log.read_text())
    assert one.process is not None
    one.process.kill()
    one.process.wait()
    one.watch()
    _until(lambda: _gone(inner))


def test_one_that_does_not_stop_is_killed(child: Callable[..., Child]) -> None:
    one = child(_STUBBORN, stop_seconds=0.2)
    _until(lambda: one.log.read_text().strip())
    assert one.process is not None
    pid = one.process.pid
    one.stop()
    assert _gone(pid)
    one.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_programs_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, time; from pathlib import Path; from fhir_server.supervisor.process import Child\n"
        f"one = Child('it', ['sleep', '60'], Path({str(tmp_path / 'log')!r}), os.environ); one.start()\n"
        "print(one.process.pid, flush=True); time.sleep(60)"
    )
    supervisor = Child("s", [sys.executable, "-c", code], tmp_path / "s.log", {**os.environ, "PYTHONPATH": str(ROOT)})
    supervisor.start()
    _until(lambda: supervisor.log.read_text().strip())
    inner = int(supervisor.log.read_text())
    assert supervisor.process is not None
    os.kill(supervisor.process.pid, signal.SIGKILL)
    supervisor.process.wait()
    _until(lambda: _gone(inner))


def test_a_large_log_is_cut_and_one_part_kept(child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.supervisor.process._LOG_LIMIT", 10)
    one = child("print('a line longer than the limit', flush=True); import time; time.sleep(60)")
    _until(lambda: one.log.read_text().strip())
    one.trim_log()
    assert one.log.read_text() == ""
    assert one.log.with_suffix(".1.log").read_text() == "a line longer than the limit\n"
