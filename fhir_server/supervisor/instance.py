"""One instance per data folder: who owns it now, and how a command finds or lends itself a database."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fhir_server.settings import settings
from fhir_server.storage import schema
from fhir_server.supervisor import postgres
from fhir_server.supervisor.layout import CannotStart, Layout, prepare

_WAIT_SECONDS = 60.0


def take(data: Path, purpose: str) -> IO[str] | None:
    """Own the instance until the returned file is closed (also by kill -9); None when somebody else owns it."""
    data.mkdir(parents=True, exist_ok=True)
    file = open(data / "instance.lock", "a+")  # noqa: SIM115  (held for as long as the instance is owned)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{purpose} {os.getpid()}\n")
    file.flush()
    return file


def tell_address(held: IO[str], host: str, port: int) -> None:
    """Write beside the owner where the web server listens, so that commands name the right URLs."""
    held.truncate(0)
    held.write(f"run {os.getpid()} {host} {port}\n")
    held.flush()


def _learn_address(told: str) -> None:
    parts = told.split()
    if len(parts) == 4 and not settings.public_url and "PORT" not in os.environ:
        settings.host, settings.port = parts[2], int(parts[3])


def owner(data: Path) -> str:
    """What the present owner of the instance does: its purpose and process id."""
    return (data / "instance.lock").read_text().strip()


@contextmanager
def database() -> Iterator[None]:
    """A migrated database for one command: the running server's, DATABASE_URL's, or the embedded one started for it.

    Several commands may overlap: the one that started the server stops it when the last has finished.
    """
    if settings.database_url:
        schema.check(settings.app_conninfo())
        yield
        return
    data = Path(os.path.abspath(settings.data_dir))
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        held = take(data, "command")
        if held is not None:
            with held, _lent(data):
                yield
            return
        with _user(data, fcntl.LOCK_SH):
            if _answers():
                _learn_address(owner(data))
                yield
                return
        if time.monotonic() > deadline:
            raise CannotStart(f"{data} is in use ({owner(data)}), but its PostgreSQL does not answer.")
        time.sleep(0.1)


@contextmanager
def _lent(data: Path) -> Iterator[None]:
    layout = prepare(data)
    process = postgres.start(layout)
    try:
        postgres.wait_ready(layout)
        ready_database(layout)
        yield
        with _user(data, fcntl.LOCK_EX):
            _stop(process)
    finally:
        _stop(process)


def ready_database(layout: Layout) -> None:
    """Roles, database and tables of the embedded server, and the proof that tenants are kept apart."""
    postgres.prepare_database(layout)
    schema.migrate(settings.owner_conninfo(), "fhir_app", settings.app_user())
    schema.check(settings.app_conninfo())


def _answers() -> bool:
    try:
        schema.check(settings.app_conninfo())
    except (schema.UnsafeDatabase, OSError):
        return False
    except Exception as error:
        if type(error).__name__ != "OperationalError":
            raise
        return False
    return True


@contextmanager
def _user(data: Path, mode: int) -> Iterator[None]:
    with open(data / "users.lock", "a") as file:
        fcntl.flock(file, mode)
        yield


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)
