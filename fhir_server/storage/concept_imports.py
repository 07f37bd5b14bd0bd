"""Statements that store an imported code system, make it visible and remove it.

They run as the server itself, in transactions of their own: the site's content belongs to no tenant that could be
entered, and an import goes on whatever a tenant's definitions become meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from fhir_server.core.errors import Conflict
from fhir_server.storage import wire
from fhir_server.storage.concepts import SYSTEMS, At, SystemRow, system_row
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.session import Row, Session, Statement

Run = Callable[[Sequence[Statement]], list[list[Row]]]


def run_as(db: Session, tenant_id: int, statements: Sequence[Statement], *, lazily: bool = False) -> list[list[Row]]:
    """Run statements of one tenant, or of the site (0), as one transaction. `lazily`: a power cut may undo it."""
    begin: list[Statement] = [("BEGIN", ()), (f"SET LOCAL app.tenant = '{int(tenant_id)}'", ())]
    if lazily:
        begin.append(("SET LOCAL synchronous_commit = off", ()))
    return db.plain([*begin, *statements, ("COMMIT", ())])[len(begin) : -1]


_BEGIN = (
    "INSERT INTO concept_system (tenant_id, url, version, status, described, source, digest)"
    " VALUES ($1, $2, $3, 'loading', $4::jsonb, $5, $6) RETURNING system_id"
)
_BEGUN = (
    "SELECT system_id, status, digest FROM concept_system WHERE tenant_id = $1 AND url = $2 AND version = $3"
    " AND status <> 'retired'"
)


def begin(run: Run, tenant_id: int, url: str, version: str, source: str, digest: bytes) -> int:
    """The number of a new system, or of the one that an interrupted import of the same content left. Raises `Conflict`
    when there is one of this url and version already, or another content of it is being loaded."""
    rows = run([(_BEGUN, (tenant_id, url, version))])[0]
    if not rows:
        try:
            made = run([(_BEGIN, (tenant_id, url, version, "{}", source, wire.Binary(digest)))])[0]
            return int(made[0][0] or b"")
        except UniqueViolation:
            rows = run([(_BEGUN, (tenant_id, url, version))])[0]
    system_id, status, held = rows[0]
    if status != b"loading":
        raise Conflict(f"{name(url, version)} is there already. Remove it first, or give this one another version.")
    if bytes.fromhex((held or b"\\x")[2:].decode()) != digest:
        named = name(url, version)
        raise Conflict(f"Another import of {named}, from other files, is not finished. Resume or cancel it first.")
    return int(system_id or b"")


_NAME = "SELECT url, version FROM concept_system WHERE tenant_id = $1 AND system_id = $2"


def name(url: str, version: str) -> str:
    """What a system in a version is called."""
    return f"{url} in version {version}" if version else url


def name_of(run: Run, at: At) -> str | None:
    """The name of a system; None when it is gone."""
    rows = run([(_NAME, at)])[0]
    return name(*[(value or b"").decode() for value in rows[0]]) if rows else None


_CONCEPTS = (
    "INSERT INTO concept (tenant_id, system_id, number, code, display, flags, parents, below, detail)"
    " SELECT $1, $2, $3 + n.place, n.code, n.display, n.flags, n.parents::int[], n.below::int4multirange, n.detail"
    " FROM unnest($4::text[], $5::text[], $6::smallint[], $7::text[], $8::text[], $9::text[])"
    " WITH ORDINALITY AS n(code, display, flags, parents, below, detail, place)"
)


def concepts(
    at: At, done: int, codes: Sequence[str], displays: Sequence[bytes], flags: Sequence[int],
    parents: Sequence[str], below: Sequence[str], details: Sequence[bytes],
) -> Statement:  # fmt: skip
    """The next concepts after `done` of them, in the order of their numbers. `parents`, `below`: as PostgreSQL writes
    integer[] and int4multirange."""
    columns = (wire.texts(codes), wire.texts(displays), wire.smallints(flags))
    return _CONCEPTS, (*at, done, *columns, wire.texts(parents), wire.texts(below), wire.texts(details))


_POSTINGS = (
    "INSERT INTO concept_posting (tenant_id, system_id, kind, key, numbers)"
    " SELECT $1, $2, n.kind, n.key, n.numbers FROM unnest($3::text[], $4::text[], $5::bytea[]) AS n(kind, key, numbers)"
)


def postings(at: At, kinds: Sequence[str], keys: Sequence[str], packed: Sequence[bytes]) -> Statement:
    """Further postings, ascending."""
    return _POSTINGS, (*at, wire.texts(kinds), wire.texts(keys), wire.byteas(packed))


_STORED = (
    "SELECT max(number) FROM concept WHERE tenant_id = $1 AND system_id = $2",
    "SELECT kind, key FROM concept_posting WHERE tenant_id = $1 AND system_id = $2"
    " ORDER BY kind DESC, key DESC LIMIT 1",
)


def stored(run: Run, at: At) -> tuple[int, tuple[str, str]]:
    """How far a system is stored: the number of its last concept and its last posting; 0 and empty for none."""
    numbers, keys = run([(sql, at) for sql in _STORED])
    kind, key = keys[0] if keys else (b"", b"")
    return int(numbers[0][0] or b"0"), ((kind or b"").decode(), (key or b"").decode())


# Without statistics PostgreSQL may look for a code by its number's index, through the whole system; and what it planned
# while there was nothing is planned anew. Who may not (MAINTAIN) is only warned: then autovacuum does it in a minute.
ANALYZE: Sequence[Statement] = (("ANALYZE concept", ()), ("ANALYZE concept_posting", ()))


_ACTIVATE = (
    "UPDATE concept_system SET status = 'active', concepts = $3, described = $4::jsonb, imported_at = now()"
    " WHERE tenant_id = $1 AND system_id = $2 AND status = 'loading' AND ($5::text IS NULL OR EXISTS"
    " (SELECT FROM terminology_job WHERE tenant_id = $1 AND id = $5 AND status = 'done'))"
)
_REPLACE = (
    "UPDATE concept_system o SET status = 'retired' FROM concept_system s WHERE s.tenant_id = $1 AND s.system_id = $2"
    " AND s.status = 'active' AND o.tenant_id = $1 AND o.url = s.url AND o.system_id <> $2 AND o.status = 'active'"
)


def activate(
    at: At, count: int, described: Mapping[str, Any], *, replace: bool, job_id: str | None = None
) -> list[Statement]:
    """Make a system visible; with `replace` the other versions of its url disappear in the same moment. `job_id`: of
    the job that must be done by now; nothing becomes visible of one that was cancelled."""
    found: list[Statement] = [(_ACTIVATE, (*at, count, msgspec.json.encode(described).decode(), job_id))]
    return [*found, (_REPLACE, at)] if replace else found


def listed(run: Run, tenant_id: int) -> list[SystemRow]:
    """The systems that a tenant may use or is loading, its own before the site's."""
    return [system_row(row) for row in run([(SYSTEMS, (tenant_id, None))])[0]]


_RETIRE = (
    "UPDATE concept_system SET status = 'retired' WHERE tenant_id = $1 AND url = $2 AND status = 'active'"
    " AND ($3::text IS NULL OR version = $3) RETURNING version"
)
_ABANDON = "UPDATE concept_system SET status = 'retired' WHERE tenant_id = $1 AND system_id = $2 AND status = 'loading'"
_RETIRED = "SELECT system_id FROM concept_system WHERE tenant_id = $1 AND status = 'retired' ORDER BY system_id LIMIT 1"


def retire(run: Run, tenant_id: int, url: str, version: str | None) -> list[str]:
    """Hide a system at once, in all its versions or in one; the versions. `sweep` deletes what is hidden."""
    return [(found or b"").decode() for (found,) in run([(_RETIRE, (tenant_id, url, version))])[0]]


def abandon(at: At) -> Statement:
    """Give up a system that is not loaded."""
    return _ABANDON, at


_DELETE_CONCEPTS = (
    "DELETE FROM concept WHERE tenant_id = $1 AND system_id = $2 AND number IN (SELECT number FROM concept"
    " WHERE tenant_id = $1 AND system_id = $2 ORDER BY number LIMIT $3) RETURNING 1"
)
_DELETE_POSTINGS = (
    "DELETE FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND (kind, key) IN (SELECT kind, key"
    " FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 ORDER BY kind, key LIMIT $3) RETURNING 1"
)
# Somebody else may be deleting the same rows just now, of which a statement then finds none.
_DELETE_SYSTEM = (
    "DELETE FROM concept_system WHERE tenant_id = $1 AND system_id = $2 AND status = 'retired'"
    " AND NOT EXISTS (SELECT FROM concept WHERE tenant_id = $1 AND system_id = $2)"
    " AND NOT EXISTS (SELECT FROM concept_posting WHERE tenant_id = $1 AND system_id = $2)"
)


def hidden(run: Run, tenant_id: int) -> bool:
    """Whether there is something for `sweep`."""
    return bool(run([(_RETIRED, (tenant_id,))])[0])


def sweep(db: Session, tenant_id: int, batch: int = 20_000) -> bool:
    """Delete the next rows of a system that is hidden; False when there is none."""
    rows = run_as(db, tenant_id, [(_RETIRED, (tenant_id,))])[0]
    if not rows:
        return False
    at = (tenant_id, int(rows[0][0] or b""))
    for statement in (_DELETE_CONCEPTS, _DELETE_POSTINGS):
        if run_as(db, tenant_id, [(statement, (*at, batch))])[0]:
            return True
    run_as(db, tenant_id, [(_DELETE_SYSTEM, at)])
    return True
