"""The bare ceiling: granian and one prepared SELECT by primary key, on the same PostgreSQL, in the same run.

No FHIR, no tenant, no token: what any Python server with a row in PostgreSQL could reach on this machine.
"""

import os
import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from psycopg import pq

from tests.bench import data

TABLE = "bench_ceiling"
ROWS = 2_000
CONNINFO = "BENCH_CEILING_CONNINFO"
_HEADERS = [("Content-Type", "application/fhir+json; charset=utf-8")]
_state: dict[str, pq.abc.PGconn] = {}


def set_up() -> list[tuple[str, tuple[Any, ...]]]:
    """Statements that make the table: Patients and Observations in turn, as the read workload asks for them."""
    rng = random.Random(0)
    when = data.visit(0, 0)
    statements: list[tuple[str, tuple[Any, ...]]] = [
        (f"DROP TABLE IF EXISTS {TABLE}", ()),
        (f'CREATE TABLE {TABLE} (id text COLLATE "C" PRIMARY KEY, body text NOT NULL)', ()),
    ]
    for number in range(ROWS):
        made = data.patient(number)
        if number % 2:
            observed = data.ident("Observation", number)
            made = data.observation(rng, observed, "Patient/x", "Practitioner/x", when, number % 3)
        body = msgspec.json.encode(made).decode()
        statements.append((f"INSERT INTO {TABLE} VALUES (%s, %s)", (data.ident("Ceiling", number), body)))
    return [*statements, (f"ANALYZE {TABLE}", ())]


def _connection() -> pq.abc.PGconn:
    pg = pq.PGconn.connect(os.environ[CONNINFO].encode())
    if pg.status != pq.ConnStatus.OK:
        raise RuntimeError(pg.get_error_message())
    pg.prepare(b"bare", f"SELECT body FROM {TABLE} WHERE id = $1".encode())
    _state["pg"] = pg
    return pg


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application."""
    pg = _state.get("pg") or _connection()
    body = pg.exec_prepared(b"bare", [environ["PATH_INFO"][1:].encode()]).get_value(0, 0) or b""
    start_response("200 OK", [*_HEADERS, ("Content-Length", str(len(body)))])
    return [body]
