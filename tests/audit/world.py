"""A tenant with a patient's record, written by the same functions that write for requests, and its log."""

import itertools
import os
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg

from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Context, Principal, Tenant, User
from fhir_server.interactions.stage import stage, stage_deletion
from fhir_server.security import audit
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.storage import operator, resources, tenants
from fhir_server.storage.session import Session
from fhir_server.storage.versions import NewVersion
from fhir_server.storage.write import write

_numbers = itertools.count(1)
_SETTLED = (
    "SELECT coalesce((SELECT xid FROM audit WHERE tenant_id = $1 ORDER BY xid DESC LIMIT 1)"
    " < pg_snapshot_xmin(pg_current_snapshot()), true)"
)


@dataclass(slots=True)
class Log:
    """A tenant of its own. `conninfo`: of the database, as the application connects to it."""

    tenant_id: int
    slug: str
    db: Session
    conninfo: str
    versions: dict[str, NewVersion] = field(default_factory=dict)

    def enter(self) -> Session:
        """The session, in the tenant."""
        self.db.enter(self.tenant_id, None, 1)
        return self.db

    def settled(self) -> Session:
        """The session, once every transaction in the cluster is over that is older than what was logged: tests of other
        processes may have some open, and rows wait for these to be sealed."""
        deadline = time.monotonic() + 120
        while True:
            rows = self.enter().run([(_SETTLED, (self.tenant_id,))], final=True)[0]
            if rows[0][0] == b"t" or time.monotonic() > deadline:
                return self.enter()
            time.sleep(0.02)

    def context(self, scope: str = "system/*.cruds", **who: Any) -> Context:
        """What a request with this token would know."""
        principal = Principal(who.pop("client_id", "app-1"), parse_scopes(scope), None, **who)
        return Context(
            Tenant(self.tenant_id, self.slug, self.slug), principal, base_registry(), self.enter(),
            f"http://testserver/t/{self.slug}/fhir", b"k" * 32,
        )  # fmt: skip

    def store(self, resource: dict[str, Any], ctx: Context | None = None) -> NewVersion:
        """Write the resource's next version, logged."""
        ctx = ctx or self.context()
        name = f"{resource['resourceType']}/{resource['id']}"
        new = stage(ctx, resource, resource["id"])
        write(ctx.db, self.tenant_id, [new], final=False)
        ctx.db.run([audit.written(ctx, [new])], final=True)
        self.versions[name] = new
        return new

    def remove(self, name: str) -> None:
        """Delete, logged."""
        ctx = self.context()
        kind, _, id_ = name.partition("/")
        head = resources.lock(ctx.db, self.tenant_id, [(kind, id_)])[base_registry().type_ids[kind], id_]
        new = stage_deletion(ctx, head)
        write(ctx.db, self.tenant_id, [new], final=False)
        ctx.db.run([audit.written(ctx, [new])], final=True)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows as the superuser sees them."""
        with psycopg.connect(_superuser(self.conninfo), autocommit=True) as db:
            done = db.execute(sql, params)
            return done.fetchall() if done.description else []

    def tamper(self, sql: str, *params: Any) -> None:
        """Run a statement as the superuser who also switches the triggers off."""
        with psycopg.connect(_superuser(self.conninfo), autocommit=True) as db:
            db.execute("SET session_replication_role = replica")
            assert db.execute(sql, params).rowcount > 0


def make_log(conninfo: str | None = None) -> Log:
    """A new tenant."""
    conninfo = conninfo or settings.app_conninfo()
    db = Session(conninfo)
    tenants.take_node(db)
    slug = f"a{os.getpid()}-{next(_numbers)}"
    return Log(operator.create_tenant(db, slug, slug, {})["id"], slug, db, conninfo)


def someone(role: str = "practitioner", user_id: str = "u-1", **more: Any) -> User:
    """A user."""
    return User(user_id, role, **more)


def patient(id_: str = "p1", **more: Any) -> dict[str, Any]:
    """A Patient."""
    return {"resourceType": "Patient", "id": id_, **more}


def observation(id_: str, of: str = "p1") -> dict[str, Any]:
    """An Observation of a patient."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"text": "Weight"},
        "subject": {"reference": f"Patient/{of}"},
    }


def _superuser(conninfo: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    return psycopg.conninfo.make_conninfo(host=parts["host"], dbname=parts["dbname"], user="postgres")
