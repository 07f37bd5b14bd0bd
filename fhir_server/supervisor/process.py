"""A process that is kept running: started again when it dies, stopped with everything it started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STEADY_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_LOG_LIMIT = 50 * 1024 * 1024


def die_with_parent(signal_number: int) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends the signal when the starting process is gone, also by kill -9 (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal_number)

    return before_exec


@dataclass(slots=True)
class Child:
    """One supervised program. `stop_signal` asks it to finish its work; `stop_seconds` later it is killed."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 30.0
    popen_user: dict[str, object] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    _pause: float = _FIRST_PAUSE
    _again_at: float = 0.0

    def start(self) -> None:
        """Start the program in a session of its own, so that signals from the terminal reach only the supervisor."""
        if self.before is not None:
            self.before()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=die_with_parent(self.stop_signal),
                **self.popen_user,
            )
        self.started = time.monotonic()

    def watch(self) -> str | None:
        """Start it again if it died and its pause is over. Returns what to tell the operator, if anything."""
        if self.process is None:
            if time.monotonic() < self._again_at:
                return None
            self.restarts += 1
            try:
                self.start()
            except Exception as error:
                self._rest()
                return f"{self.name} could not be started again: {error}"
            return f"{self.name} started again"
        code = self.process.poll()
        if code is None:
            return None
        self._kill_group()
        self.process = None
        if time.monotonic() - self.started > _STEADY_SECONDS:
            self._pause = _FIRST_PAUSE
        self._rest()
        return f"{self.name} ended unexpectedly ({_why(code)}); see {self.log}"

    def stop(self) -> None:
        """Ask it to finish, wait, and kill what is left of it."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.stop_seconds)
        self._kill_group()
        self.process.wait()
        self.process = None

    def trim_log(self) -> None:
        """Keep the log's size bounded: one older part is kept. The program writes in append mode and goes on."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.with_suffix(".1.log").write_bytes(self.log.read_bytes())
            os.truncate(self.log, 0)

    def _rest(self) -> None:
        self._again_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _kill_group(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _why(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
