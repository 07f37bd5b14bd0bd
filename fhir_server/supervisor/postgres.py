"""The embedded PostgreSQL: made once, reached only over a socket in its owner's folder, by peer authentication.

https://www.postgresql.org/docs/18/auth-peer.html
"""

import os
import pwd
import subprocess
import time
from pathlib import Path

import psycopg

from fhir_server.settings import APP_ROLE, DATABASE, OWNER_ROLE
from fhir_server.supervisor.binaries import postgres_bin
from fhir_server.supervisor.layout import CannotStart, Layout
from fhir_server.supervisor.process import die_with_parent

SUPERUSER = "postgres"
_INITDB = ("--auth=peer", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
           "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions")  # fmt: skip
_INCLUDES = "\ninclude = 'salam.conf'\ninclude_if_exists = 'local.conf'  # yours: it wins over salam.conf\n"


def command(layout: Layout) -> list[str]:
    """What to run for the server, once `prepare_cluster` has been called."""
    return [str(postgres_bin(layout) / "postgres"), "-D", str(layout.postgres)]


def prepare_cluster(layout: Layout) -> None:
    """Make the cluster if there is none, end a server that outlived its supervisor, and write the configuration."""
    bin_ = postgres_bin(layout)
    cluster = layout.postgres
    if not (cluster / "PG_VERSION").exists():
        _initdb(layout, bin_)
    elif _run(layout, bin_ / "pg_ctl", "status", "-D", cluster).returncode == 0:
        _run(layout, bin_ / "pg_ctl", "stop", "-m", "fast", "-w", "-t", "60", "-D", cluster)
    _write(layout, "salam.conf", _configuration(layout))
    _write(layout, "pg_hba.conf", "local all all peer map=salam\nlocal replication all peer map=salam\n")
    _write(layout, "pg_ident.conf", _ident(layout))


def start(layout: Layout) -> subprocess.Popen[bytes]:
    """Start the server outside the supervisor (one command's own use); it is ready when `wait_ready` returns."""
    prepare_cluster(layout)
    with open(layout.logs / "postgres.log", "ab") as log:
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command(layout),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_parent(2),
            **layout.popen_user(),
        )


def wait_ready(layout: Layout, seconds: float = 60.0) -> None:
    """Wait until the server takes connections (crash recovery may go first). Raises `CannotStart`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connect(layout).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL does not answer ({error}); see {layout.logs / 'postgres.log'}") from None
            time.sleep(0.02)


def connect(layout: Layout, database: str = "postgres") -> psycopg.Connection:
    """A connection as the cluster's superuser, for the set-up of roles and databases."""
    host = str(layout.postgres_socket)
    return psycopg.connect(host=host, user=SUPERUSER, dbname=database, autocommit=True, connect_timeout=5)


def prepare_database(layout: Layout) -> None:
    """Make the roles and the database that the server uses. Does nothing when they are there."""
    with connect(layout) as db:
        roles = {row[0] for row in db.execute("SELECT rolname FROM pg_roles")}
        for role in (OWNER_ROLE, APP_ROLE):
            if role not in roles:
                db.execute(f'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE')
        if not db.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            db.execute(f'CREATE DATABASE "{DATABASE}" OWNER "{OWNER_ROLE}"')
            db.execute(f'REVOKE ALL ON DATABASE "{DATABASE}" FROM PUBLIC')
            db.execute(f'GRANT CONNECT ON DATABASE "{DATABASE}" TO "{APP_ROLE}"')


def _initdb(layout: Layout, bin_: Path) -> None:
    leftovers = [path.name for path in layout.postgres.iterdir()]
    if leftovers:
        raise CannotStart(f"{layout.postgres} is not empty, yet holds no PostgreSQL cluster. Move it away.")
    done = _run(layout, bin_ / "initdb", *_INITDB, "-D", layout.postgres)
    if done.returncode:
        raise CannotStart(f"PostgreSQL's initdb failed: {done.stderr.decode(errors='replace').strip()}")
    with open(layout.postgres / "postgresql.conf", "a") as file:
        file.write(_INCLUDES)


def _run(layout: Layout, program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(program), *map(str, arguments)],
        check=False,
        capture_output=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        env=environment,
        **layout.popen_user(),
    )


def _write(layout: Layout, name: str, text: str) -> None:
    path = layout.postgres / name
    path.write_text(text)
    path.chmod(0o600)
    os.chown(path, layout.account.pw_uid, layout.account.pw_gid)


def _ident(layout: Layout) -> str:
    """Which accounts of the machine are which roles: only the caller's, and the server's own."""
    caller = pwd.getpwuid(os.getuid()).pw_name
    pairs = {(caller, role) for role in (SUPERUSER, OWNER_ROLE, APP_ROLE)} | {(layout.account.pw_name, SUPERUSER)}
    return "".join(f'salam "{system}" "{role}"\n' for system, role in sorted(pairs))


def _configuration(layout: Layout) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_048_576
    shared = max(128, min(1024, memory // 8))
    values = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{layout.postgres_socket}'",
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{max(256, memory // 2)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{max(64, min(256, memory // 16))}MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_buffers": "16MB",
        "min_wal_size": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "random_page_cost": "1.1",
        # Requests are short and many; a second process for one of them costs more than it gives.
        "max_parallel_workers_per_gather": "0",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_insert_scale_factor": "0.05",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        # Neither statements nor the DETAIL of errors: both quote patients' data.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_line_prefix": "'%m [%p] '",
    }
    lines = [f"{name} = {value}" for name, value in values.items()]
    return "# Written at every start. Your own settings go into local.conf beside it.\n" + "\n".join(lines) + "\n"
