"""Sessions handed from tenant to tenant under every kind of trouble, and each of the two walls standing alone.

sec-6 (3.5.5): a row that comes back is the tenant's. sec-7 (3.5.6): row-level security isolates without the statements'
own condition, and the condition isolates without row-level security.
"""

import queue
import random
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fhir_server.core.errors import FhirError
from fhir_server.interactions.worlds import world
from fhir_server.rest import dispatch
from fhir_server.settings import settings
from fhir_server.storage import operator, tenants
from fhir_server.storage.errors import StatementError
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.supervisor import layout, postgres
from tests.client import Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, put_all

TENANTS, SESSIONS, THREADS, ROUNDS = 20, 3, 30, 40
_ROWS = "SELECT tenant_id, id, body FROM resource"
_MINE = f"{_ROWS} WHERE tenant_id = $1"


class Trouble(Exception):
    """What goes wrong between two statements."""


@pytest.fixture(scope="module")
def places(new_tenant: Callable[[], TestTenant]) -> list[tuple[int, int]]:
    """(tenant id, version of its definitions) of tenants with three resources each, of the same ids in all."""
    found = []
    for _ in range(TENANTS):
        tenant = new_tenant()
        put_all(tenant.client(), [_basic(f"b{n}", str(tenant.id)) for n in range(3)])
        found.append((tenant.id, world(dispatch.session(), tenant.slug).version))
    return found


def _basic(id_: str, word: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "id": id_, "code": {"text": f"of-{word}-"}, "identifier": [{"value": "same"}]}


class Torture:
    """Threads that share few sessions. `wrong`: rows of another tenant than the entered one."""

    def __init__(self, places: Sequence[tuple[int, int]], make: Callable[[], Session]) -> None:
        self.places = places
        self.free: queue.Queue[Session] = queue.Queue()
        self.wrong: list[str] = []
        self.unexpected: list[BaseException] = []
        self.read = 0
        for _ in range(SESSIONS):
            self.free.put(make())

    def run(self) -> None:
        """Run all threads to their end, while connections are cancelled and killed from outside."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        stop = threading.Event()
        killer = threading.Thread(target=_cancel, args=(stop,))
        for thread in (*threads, killer):
            thread.start()
        for thread in threads:
            thread.join(600)
        stop.set()
        killer.join(90)
        assert not any(thread.is_alive() for thread in (*threads, killer))
        while not self.free.empty():
            self.free.get().close()

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        # On a slow machine more statements run out of time; it goes on until enough were answered.
        for turn in range(20 * ROUNDS):
            if turn >= ROUNDS and self.read > THREADS * ROUNDS:
                break
            db = self.free.get()
            try:
                self._one(db, chance)
            except (Trouble, FhirError, StatementError):
                pass
            except BaseException as error:
                self.unexpected.append(error)
            finally:
                # Given back as it is: with an open transaction, a held one, a lost connection.
                self.free.put(db)

    def _one(self, db: Session, chance: random.Random) -> None:
        tenant_id, version = chance.choice(self.places)
        db.enter(tenant_id, None, version, writing=chance.random() < 0.2)
        for _ in range(chance.randint(1, 3)):
            self._trouble(db, chance)
            sql: Statement = chance.choice([(_ROWS, ()), (_MINE, (tenant_id,))])
            for rows in db.run([sql], final=chance.random() < 0.5, custom=chance.random() < 0.3):
                self._check(tenant_id, rows)

    def _trouble(self, db: Session, chance: random.Random) -> None:
        match chance.randrange(12):
            case 0:
                raise Trouble
            case 1:
                db.run([("SELECT 1 / 0", ())])
            case 2:
                db.run([("SELECT pg_sleep(1)", ())])
            case 3:
                db.run([("SELECT nonsense", ()), (_ROWS, ())])
            case 4:
                db.rollback()
            case 5:
                db.close()
            case 6:
                db.run([("SELECT pg_terminate_backend(pg_backend_pid())", ())])
            case 7:
                with db.hold():
                    db.run([(_ROWS, ())], final=True)
                    raise Trouble
            case 8:
                db.plain([("SELECT 1", ())])

    def _check(self, tenant_id: int, rows: Sequence[Row]) -> None:
        self.read += len(rows)
        word = f"of-{tenant_id}-".encode()
        bad = [row for row in rows if int(row[0] or 0) != tenant_id or word not in (row[2] or b"")]
        self.wrong += [f"{tenant_id} got {row[:2]!r}" for row in bad[:3]]
        if len(rows) != 3 and not bad:
            self.wrong.append(f"{tenant_id} got {len(rows)} rows of 3")


def _cancel(stop: threading.Event) -> None:
    """Cancel what the app's connections do, at moments of chance. A superuser outside of the server."""
    sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%FROM resource%' AND pid <> pg_backend_pid()"
    with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as db:
        while not stop.wait(0.02):
            db.execute(f"{sql} AND application_name = 'torture'")


def _session() -> Session:
    return Session(f"{settings.app_conninfo()} application_name=torture", timeout_ms=60)


def test_every_row_is_the_tenants(places: list[tuple[int, int]]) -> None:
    """sec-6"""
    torture = Torture(places, _session)
    torture.run()
    assert torture.unexpected == []
    assert torture.wrong == []
    assert torture.read > THREADS * ROUNDS


class _Forgetful(Session):
    """Known bad: sets the tenant of the first request for as long as the connection lives."""

    def _frame(self, last: bool, custom: bool) -> Any:
        before, after = super()._frame(last, custom)
        return [(sql.replace("SET LOCAL app.tenant", "SET app.tenant") if self._pg is None else sql, p)
                for sql, p in before if self._pg is None or "app.tenant" not in sql and "app_enter" not in sql], after  # fmt: skip


def test_the_torture_tells(places: list[tuple[int, int]]) -> None:
    """Known bad: a connection that keeps its tenant is found out."""
    torture = Torture(places, lambda: _Forgetful(_session()._conninfo.decode(), timeout_ms=60))
    torture.run()
    assert torture.wrong != []


# -- the walls alone ---------------------------------------------------------------------------------------------------

_CONDITION = re.compile(r"(?:\b\w+\.)?\btenant_id = \$1")


class _Unfiltered(Session):
    """Sends every statement without its own condition on the tenant: only row-level security is left."""

    def run(
        self, statements: Sequence[Statement], *, final: bool = False, custom: bool = False, kept: bool = True
    ) -> list[list[Row]]:
        bare = [(_CONDITION.sub("$1::integer IS NOT NULL", sql), params) for sql, params in statements]
        return super().run(bare, final=final, custom=custom, kept=kept)


_OFF = "SELECT format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', relname) FROM pg_class WHERE relrowsecurity"


def _walls(monkeypatch: pytest.MonkeyPatch, superuser: str, *, policies: bool, conditions: bool) -> list[Client]:
    """Two tenants, empty and full of what the first asks for, of a scratch database behind the walls that are left."""
    with psycopg.connect(superuser, autocommit=True) as db:
        db.execute("ALTER SEQUENCE tenant_tenant_id_seq RESTART WITH 700000")
        if not policies:
            for (statement,) in db.execute(_OFF).fetchall():
                db.execute(statement)
    name = psycopg.conninfo.conninfo_to_dict(superuser)["dbname"]
    made = (Session if conditions else _Unfiltered)(make_conninfo(settings.app_conninfo(), dbname=name))
    monkeypatch.setattr(dispatch._local, "session", made, raising=False)
    tenants.take_node(made)
    clients = []
    for which in ("one", "two"):
        slug = f"{name.replace('_', '-')}-{which}"
        clients.append(TestTenant(operator.create_tenant(made, slug, slug, {})["id"], slug).client())
    return clients


_ASKED = [
    "Basic", "Basic?_total=accurate", "Basic?_summary=count", "Basic/b1", "Basic/b1/_history", "Basic/b1/_history/1", "_history",
    "Basic?identifier=same", "Basic?_sort=code&_count=1", "Patient?_has:Basic:patient:code=x", "Basic?subject:Patient.name=Z",
    "Basic?_include=*&_revinclude=*", "Basic/$meta", "$meta", "Patient/p/Basic", "Patient/p/$everything", "Observation/$lastn?max=1",
    "Basic?_filter=identifier eq same", "Basic?code:missing=true", "Basic?_list=l", "Basic?code:text=Zephyrine", "?_type=Basic,Patient",
]  # fmt: skip


def _fill(client: Client) -> None:
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Zephyrine"}]}
    basics = [{**_basic(f"b{n}", "Zephyrine"), "subject": {"reference": "Patient/p"}} for n in range(3)]
    listed = {
        "resourceType": "List",
        "id": "l",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": "Basic/b1"}}],
    }
    put_all(client, [patient, *basics, listed])
    put_all(client, [{**each, "language": "fr"} for each in basics])


def _told(client: Client) -> list[str]:
    """The questions whose answer tells of another tenant."""
    found = []
    for path in _ASKED:
        answer = client.get(path)
        spoken = b"Zephyrine" in answer.body.replace(path.encode(), b"")
        counted = answer.status == 200 and "$meta" not in path and (ids_of(answer) or answer.json.get("total", 0))
        if spoken or counted or answer.status not in (200, 400, 404):
            found.append(path)
    return found


@pytest.fixture
def own_session() -> Any:
    """The thread's session as it was, afterwards."""
    dispatch.session()
    yield
    with suppress(AttributeError):
        dispatch.session().rollback()


@pytest.mark.parametrize(
    ("policies", "conditions"), [(True, True), (True, False), (False, True)], ids=["both", "policies", "conditions"]
)
def test_one_wall_is_enough(
    policies: bool, conditions: bool, scratch_database: str, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sec-7: what the neighbour holds is not there, and what one writes is one's own."""
    empty, full = _walls(monkeypatch, scratch_database, policies=policies, conditions=conditions)
    _fill(full)
    assert _told(empty) == []
    assert ids_of(full.get("Basic")) == {"Basic/b0", "Basic/b1", "Basic/b2"}
    assert empty.put("Basic/b1", _basic("b1", "mine")).status == 201
    assert empty.delete("Basic/b1").status == 204
    assert empty.delete("Basic?identifier=same").status == 204
    assert empty.post("Basic", _basic("x", "mine"), if_none_exist="identifier=same").status == 201
    change = [{"op": "add", "path": "/language", "value": "fr"}]
    assert empty.patch("Basic/b2", change, content_type="application/json-patch+json").status == 404
    for n in range(3):
        assert full.get(f"Basic/b{n}").json["meta"]["versionId"] == "2"
    dispatch.session().close()


def test_without_both_walls_it_tells(scratch_database: str, own_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: with neither policy nor condition the neighbour is seen, so each of the above is what kept it out."""
    empty, full = _walls(monkeypatch, scratch_database, policies=False, conditions=False)
    _fill(full)
    told = _told(empty)
    dispatch.session().close()
    assert {"Basic", "Basic/b1", "_history", "Basic?_summary=count"} <= set(told)
