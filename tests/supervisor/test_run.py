"""`fhir-server run` as an operator meets it: start, crash, second start, stop. One instance for the whole module."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fhir_server.settings import ROOT

_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "SALAM_DATA")},
    "PYTHONPATH": str(ROOT),
    "SALAM_WEB_WORKERS": "1",
}


@dataclass(slots=True)
class Instance:
    """A server that the test started."""

    data: Path
    process: "subprocess.Popen[str]"
    url: str = ""
    said: list[str] = field(default_factory=list)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run an operator's command on the same data folder."""
        return _command(*arguments, "--data", str(self.data))

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """GET a path of the server; status and JSON."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def ready(self, **parts: str) -> bool:
        """Whether the server says that it can serve, with these of its parts."""
        try:
            status, told = self.get("/health/ready")
        except (OSError, http.client.HTTPException):
            return False
        return status == 200 and {name: told.get(name) for name in parts} == parts


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fhir_server.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=_ENVIRONMENT, timeout=240, cwd="/")


def _start(data: Path, *arguments: str) -> Instance:
    command = [sys.executable, "-m", "fhir_server.cli", "run", "--data", str(data), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_ENVIRONMENT)
    instance = Instance(data, process)
    assert process.stdout is not None
    for line in process.stdout:
        instance.said.append(line)
        if found := re.match(r"ready (http://\S+)$", line):
            instance.url = found[1]
            return instance
    pytest.fail(f"it did not start:\n{''.join(instance.said)}")


def _stop(instance: Instance, number: int = signal.SIGINT) -> str:
    instance.process.send_signal(number)
    said, _ = instance.process.communicate(timeout=180)
    return str(said)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance without the demo tenant."""
    # tmp_path lies below a folder that only its owner enters, which is the harder case for root.
    instance = _start(tmp_path_factory.mktemp("run") / "data", "--no-demo")
    yield instance
    if instance.process.poll() is None:
        _stop(instance)
    _command("remove-data", "--yes", "--data", str(instance.data))
    assert not instance.data.exists()


def _until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _processes(text: str) -> list[int]:
    """Process ids whose command line holds a text, oldest first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(int(folder.name))
    return sorted(found)


def test_it_says_how_to_begin(running: Instance) -> None:
    said = "".join(running.said)
    assert "/t/SLUG/fhir" in said
    assert "fhir-server token" in said


def test_commands_work_beside_the_running_server(running: Instance) -> None:
    assert running.command("tenant", "create", "beside").returncode == 0
    made = running.command("token", "--tenant", "beside", "--scope", "system/*.rs", "--json")
    token = json.loads(made.stdout)["access_token"]
    assert running.get("/t/beside/fhir/Patient", token)[0] == 200
    assert running.get("/t/beside/fhir/Patient")[0] == 401
    assert running.command("tenant", "suspend", "beside").returncode == 0
    assert running.get("/t/beside/fhir/Patient", token)[0] == 404
    assert running.command("tenant", "resume", "beside").returncode == 0
    assert running.get("/t/beside/fhir/Patient", token)[0] == 200


def test_nothing_listens_but_web_and_hub(running: Instance) -> None:
    port = int(running.url.rpartition(":")[2])
    sockets = {link for pid in _processes(str(running.data)) for link in _links(pid)}
    listening = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                listening.add(int(fields[1].rpartition(":")[2], 16))
    assert listening <= {port, port + 1}


def _links(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    return found


def test_another_account_cannot_log_in(running: Instance) -> None:
    socket = Path(os.path.realpath(running.data / "run")) / "postgres"
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        psycopg.connect(host=str(socket), user="nobody_we_know", dbname="fhir")
    with psycopg.connect(host=str(socket), user="fhir_app", dbname="fhir") as db:
        hba = db.execute("SELECT current_setting('listen_addresses'), current_setting('fsync')").fetchone()
    assert hba == ("", "on")


def test_a_second_start_on_the_same_folder_is_refused(running: Instance) -> None:
    done = _command("run", "--data", str(running.data), "--port", "0")
    assert done.returncode == 1
    assert "already in use" in done.stderr


def test_a_port_in_use_is_named(running: Instance, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    done = _command("run", "--data", str(tmp_path / "other"), "--port", port, "--no-demo")
    assert done.returncode == 1
    _command("remove-data", "--yes", "--data", str(tmp_path / "other"))
    assert f"Port {port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("program", ["fhir_server.app:app", "bin/postgres -D", "valkey-server", "fhir_server.worker"])
def test_what_is_killed_comes_back(running: Instance, program: str) -> None:
    if program in ("bin/postgres -D", "valkey-server"):
        place = os.path.realpath(running.data / ("postgres" if "postgres" in program else "run/valkey"))
        victims = [pid for pid in _processes(place) if pid in _processes(program)]
    else:
        victims = [pid for pid in _processes(program) if pid in _children(running.process.pid)]
    os.kill(victims[0], signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{victims[0]}").exists())
    _until(lambda: running.ready(worker_queue="up"))


def _children(parent: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def test_after_kill_9_of_the_supervisor_nothing_is_left_and_it_starts_again(running: Instance) -> None:
    children = _children(running.process.pid)
    running.process.kill()
    running.process.communicate()
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    again = _start(running.data, "--no-demo")
    running.process, running.url = again.process, again.url
    listed = json.loads(running.command("tenant", "list", "--json").stdout)
    assert [(row["slug"], row["status"]) for row in listed] == [("beside", "active")]


def test_a_signal_stops_everything_in_order(running: Instance) -> None:
    children = _children(running.process.pid)
    said = _stop(running, signal.SIGTERM)
    assert "Stopped." in said
    assert running.process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    log = Path(os.path.realpath(running.data)) / "logs" / "postgres.log"
    assert "database system is shut down" in log.read_text().splitlines()[-1]


def test_commands_work_while_the_server_is_stopped(running: Instance) -> None:
    assert running.process.poll() is not None
    several = [
        subprocess.Popen(
            [sys.executable, "-m", "fhir_server.cli", "tenant", "list", "--json", "--data", str(running.data)],
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
        )
        for _ in range(3)
    ]
    for process in several:
        out, _ = process.communicate(timeout=180)
        assert [row["slug"] for row in json.loads(out)] == ["beside"]
    assert not _processes(os.path.realpath(running.data / "postgres"))
