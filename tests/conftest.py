"""One embedded PostgreSQL and one Valkey for the whole run, shared by all of pytest's processes; a tenant per module.

The controlling process starts the servers before the workers and stops them last. Nothing here is mocked.
"""

import gc
import itertools
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from fhir_server.core import clock
from fhir_server.settings import ROOT, settings
from fhir_server.supervisor import instance, layout, postgres, programs, valkey
from fhir_server.supervisor.process import Child, die_with_parent
from tests.shares import Shares, turn

if TYPE_CHECKING:
    from tests.client import Client

# The same examples in every run, so that a change is judged by what it changes; HYPOTHESIS_SEARCH=1 looks for new ones.
# Neither judges how fast the machine is.
_SLOW = [HealthCheck.too_slow]
hypothesis.register_profile("same", derandomize=True, deadline=None, suppress_health_check=_SLOW)
hypothesis.register_profile("search", deadline=None, suppress_health_check=_SLOW)
hypothesis.load_profile("search" if os.environ.get("HYPOTHESIS_SEARCH") else "same")

TEMPLATE = "fhir_template"
_FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = 256MB\nmax_wal_size = 1GB\nmax_connections = 300\n"
_numbers = itertools.count(1)
_servers: list[Child] = []
_locks: list[IO[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """In the controlling process: start the servers, unless the run is of tests that read source files only."""
    # A look at all that thousands of tests have left takes most of a second of whichever is measured just then.
    gc.set_threshold(700, 10, 1_000_000)
    if hasattr(config, "workerinput") or config.option.collectonly or _static_only(config):
        return
    for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    settings.database_url = settings.migration_database_url = settings.redis_url = ""
    settings.data_dir = os.environ["SALAM_DATA"] = tempfile.mkdtemp(prefix="salam-test-", dir="/tmp")
    place = layout.prepare(Path(settings.data_dir))
    held = instance.take(place.data, "tests")
    assert held is not None
    _locks.append(held)
    postgres.prepare_cluster(place)
    (place.postgres / "local.conf").write_text(_FAST)
    os.chown(place.postgres / "local.conf", place.account.pw_uid, place.account.pw_gid)
    for child in (programs.postgres_server(place), programs.valkey_server(place)):
        child.start()
        _servers.append(child)
    postgres.wait_ready(place)
    valkey.wait_ready(place)
    instance.ready_database(place)
    with postgres.connect(place) as db:
        db.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE fhir OWNER fhir_owner')


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what `pytest_configure` started and remove its folder."""
    if not _servers:
        return
    while _servers:
        _servers.pop().stop()
    _locks.pop().close()
    layout.remove(Path(settings.data_dir))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """Who gets which tests when several processes run them."""
    return Shares(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process among several: what takes long stands first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


def _static_only(config: pytest.Config) -> bool:
    return bool(config.args) and all("tests/architecture/static" in argument for argument in config.args)


@dataclass(frozen=True, slots=True)
class TestTenant:
    """A tenant that only one test module uses."""

    __test__ = False

    id: int
    slug: str

    def token(self, scope: str = "system/*.cruds operator", minutes: int = 60, patient: str | None = None) -> str:
        """A new access token. `patient`: whose record patient/ scopes are about."""
        from fhir_server.cli.token import new_token

        return str(new_token(self.slug, scope, minutes, "tests", patient)["access_token"])

    def client(self, scope: str = "system/*.cruds operator", patient: str | None = None) -> "Client":
        """A client with a token of this scope."""
        from tests.client import Client

        return Client(self.slug, self.token(scope, patient=patient))


@pytest.fixture(scope="session")
def new_tenant() -> Callable[[], TestTenant]:
    """Makes tenants, for tests that need several or an empty one."""
    # The engine is imported here, so that tests of single functions run without all of it.
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    def make(zone: str = "UTC") -> TestTenant:
        slug = f"t{os.getpid()}-{next(_numbers)}"
        row = operator.create_tenant(session(), slug, slug, {"zone": zone})
        return TestTenant(row["id"], slug)

    return make


@pytest.fixture(scope="module", autouse=True)
def the_clock_is_right_again() -> Iterator[None]:
    """What a module did to the clock of this process is not the next one's business."""
    yield
    clock.move(timedelta())


@pytest.fixture(scope="module")
def tenant(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    """The module's own tenant, empty when the module's first test begins."""
    return new_tenant()


@pytest.fixture(scope="module")
def client(tenant: TestTenant) -> "Client":
    """A client that may do everything in the module's tenant."""
    return tenant.client()


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, all that a test does is counted in one window, and by Valkey if it is there."""
    from fhir_server.security import throttle, valkey

    moment = time.time()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: moment))
    monkeypatch.setattr(valkey, "_TIMEOUT_S", 60.0)
    monkeypatch.setattr(valkey, "_clients", {})
    monkeypatch.setattr(valkey, "_away_until", 0.0)


def free_port() -> int:
    """A port of loopback on which nothing listens, nor on the next one, for this caller alone. The system gives these to
    nobody by itself, so they are still free when a server has started."""
    while True:
        port = 20_000 + 2 * secrets.randbelow(6_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as following:
            one.bind(("127.0.0.1", port))
            following.bind(("127.0.0.1", port + 1))
            (Path(settings.data_dir) / f"port-{port}").touch(exist_ok=False)
            return port


@pytest.fixture(scope="session")
def live_hub_port() -> int:
    """The port at which the live web server believes the event hub to be."""
    return free_port()


@pytest.fixture(scope="session")
def live_server(live_hub_port: int) -> Iterator[str]:
    """A real web server on loopback, on the run's database: `http://127.0.0.1:PORT`."""
    settings.port = free_port()
    log = Path(settings.data_dir) / "logs" / f"web-{os.getpid()}.log"
    environment = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)}
    environment["SALAM_HUB_PORT"] = str(live_hub_port)
    with open(log, "wb") as file:
        web = subprocess.Popen(
            programs.web_command(),
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    url = f"http://127.0.0.1:{settings.port}"
    try:
        _wait_live(url, web, log)
        yield url
    finally:
        web.terminate()
        web.wait(90)
        with suppress(ProcessLookupError):
            os.killpg(web.pid, signal.SIGKILL)


def _wait_live(url: str, web: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health/ready", timeout=20) as answer:
            if answer.status == 200:
                return
        if web.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the web server did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)


@pytest.fixture
def scratch_database() -> Iterator[str]:
    """A migrated database of the test's own, to change its tables: connection string of its superuser."""
    place = layout.prepare(Path(settings.data_dir))
    name = f"scratch_{os.getpid()}_{next(_numbers)}"
    with postgres.connect(place) as db:
        db.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" OWNER fhir_owner')
    yield f"host={place.postgres_socket} user={postgres.SUPERUSER} dbname={name}"
    with postgres.connect(place) as db:
        db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
