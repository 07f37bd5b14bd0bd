"""The server that is measured: started by the supervisor on an empty data folder, or one that runs already."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.exchange import Target
from tests.bench.generator import ROOT

TENANT = "bench"
_READY = "ready http://"
# Workers are what `dev.py run` starts; anything set here would measure another server.
_NOT_OURS = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL", "SALAM_PUBLIC_URL", "SALAM_DATA", "PORT", "HOST")


@dataclass(frozen=True, slots=True)
class Server:
    """`pid`: root of the process tree whose CPU is counted. `data`: its folder. None: only the URL is known.

    `new_token(scope, patient id)` makes an access token, where there is access to its commands.
    """

    target: Target
    pid: int | None = None
    data: Path | None = None
    new_token: Callable[[str, str], str] | None = None

    def conninfo(self) -> str | None:
        """A superuser's connection to its database, where there is access."""
        if self.data is None:
            return None
        return f"host={os.path.realpath(self.data / 'run')}/postgres user=postgres dbname=fhir"

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on its database; [] where there is no access."""
        conninfo = self.conninfo()
        if conninfo is None:
            return []
        with psycopg.connect(conninfo, autocommit=True) as db:
            cursor = db.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def started(keep: Path | None = None) -> Iterator[Server]:
    """A new server with a tenant and a token, stopped and removed at the end. `keep`: a folder that stays."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    folder = keep or Path(tempfile.mkdtemp(prefix="salam-bench-", dir="/tmp"))
    command = [sys.executable, "-m", "fhir_server.cli"]
    process = subprocess.Popen(
        [*command, "run", "--port", "0", "--data", str(folder), "--no-demo"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        text=True,
        start_new_session=True,
    )
    try:
        url = _wait_ready(process)

        def cli(*arguments: str) -> Any:
            done = subprocess.run(
                [*command, *arguments, "--json", "--data", str(folder)],
                check=True, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True,
            )  # fmt: skip
            return json.loads(done.stdout)

        cli("tenant", "create", TENANT)
        made = cli("token", "--tenant", TENANT, "--scope", "system/*.cruds", "--minutes", "600")

        def new_token(scope: str, patient: str) -> str:
            made = cli("token", "--tenant", TENANT, "--scope", scope, "--patient", patient, "--minutes", "600")
            return str(made["access_token"])

        yield Server(Target(f"{url}/t/{TENANT}/fhir", made["access_token"]), process.pid, folder, new_token)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        if keep is None:
            _remove(folder)


def _wait_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_READY):
            return line.split()[1].rstrip("/")
    raise RuntimeError(f"The server did not start (exit code {process.wait()}).")


def _remove(folder: Path) -> None:
    # The server's own removal knows where it put the database when the folder could not hold it.
    done = subprocess.run(
        [sys.executable, "-m", "fhir_server.cli", "remove-data", "--yes", "--data", str(folder)],
        check=False, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    if done.returncode or folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
