"""Index rows made anew: for a new search parameter, for a whole tenant, and a check of the index against the resources.

Each call does one batch in one transaction on a session that has entered the tenant, and says how far it came.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Tenant
from fhir_server.core.keys import gone_among, param_id
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.search.extract import IndexRows, extract, extract_param
from fhir_server.security import consent
from fhir_server.security.consent_conditions import Reader
from fhir_server.storage import clock, tenants, used_codes
from fhir_server.storage import reindex as stored
from fhir_server.storage.index_rows import TABLES, Rows
from fhir_server.storage.reindex import Head, Job, RowsByTable
from fhir_server.storage.session import Session
from fhir_server.storage.used_codes import UsedCode

_TOKEN, _USED_CODE = "token", "used_code"
_EVERY_TYPE = ("Resource", "DomainResource")
_MOST_EXAMPLES = 20
_SWEEP = 5000
_TELL_EVERY = 10.0


@dataclass(slots=True)
class Difference:
    """What must change in the index. `heads`: (ts, keys) of resources whose row itself is wrong, by rid. `codes`: used
    codes that are missing, with the rid of a resource that has them; one too many does no harm."""

    gone: RowsByTable = field(default_factory=dict)
    come: RowsByTable = field(default_factory=dict)
    heads: dict[int, tuple[int, Sequence[int]]] = field(default_factory=dict)
    codes: dict[UsedCode, int] = field(default_factory=dict)

    def rids(self) -> set[int]:
        """The resources concerned (every index row ends with its rid)."""
        tables = (*self.gone.values(), *self.come.values())
        return {row[-1] for rows in tables for row in rows} | set(self.heads) | set(self.codes.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a walk over a tenant has come: `after` is the last rid, None at the end."""

    done: int
    repaired: int
    after: int | None


# -- a new search parameter --------------------------------------------------------------------------------------------


def run_backfill(
    db: Session, tenant_id: int, registry: Registry, job: Job, *, base: str, limit: int = 500
) -> Job:
    """Bring the rows of one parameter up to date on the next resources of its type; the job as it is afterwards.

    Repeat until the status is `done` or `failed`; a job that was interrupted goes on where it was. When the last job is
    done (or some are, and others take long) the tenant's registry version is raised, so that searches use the
    parameters: enter the tenant anew for the next job.
    When somebody else advanced or restarted the job, nothing is done and the job is given as it is now.
    """
    types = registry.resource_types if job.type in _EVERY_TYPE else (job.type,)
    before = job
    if job.status != "running":
        total = stored.start_job(db, tenant_id, job, types)
        job = replace(job, status="running", total_rows=total, message="")
    try:
        heads = _backfill_batch(db, tenant_id, registry, job, base, limit)
    except FhirPathError as error:
        db.rollback()
        after = replace(job, status="failed", message=str(error))
    else:
        last = len(heads) < limit
        after = replace(
            job,
            status="done" if last else "running",
            done_rows=job.done_rows + len(heads),
            last_rid=heads[-1].rid if heads else job.last_rid,
        )
    if not stored.save_job(db, tenant_id, before, after):
        db.rollback()
        now = {(each.type, each.code): each for each in stored.jobs(db, tenant_id)}
        return now.get((job.type, job.code), replace(job, status="failed", message="The job is gone."))
    if after.status in ("done", "failed") and _time_to_tell(db, tenant_id):
        tenants.raise_registry_version(db, tenant_id)
    db.commit()
    return after


def _time_to_tell(db: Session, tenant_id: int) -> bool:
    """Whether finished parameters are put to use now: with the last one, and every ten seconds until then. A guide
    brings dozens at once, and whoever is at work loads the definitions anew each time."""
    now = monotonic()
    still_open = any(job.status in ("waiting", "running") for job in stored.jobs(db, tenant_id))
    if still_open and now - _told.get(tenant_id, -_TELL_EVERY) < _TELL_EVERY:
        return False
    _told[tenant_id] = now
    return True


_told: dict[int, float] = {}


def _backfill_batch(
    db: Session, tenant_id: int, registry: Registry, job: Job, base: str, limit: int
) -> list[Head]:
    type_id = None if job.type in _EVERY_TYPE else registry.type_ids[job.type]
    heads = stored.batch(db, tenant_id, job.last_rid, limit, type_id=type_id, lock=True)
    want: RowsByTable = {table.name: set() for table in TABLES}
    difference = Difference({_TOKEN: set()}, {_TOKEN: set()})
    ids: set[int] = set()
    codes: set[UsedCode] = set()
    alone: dict[str, Callable[[dict[str, Any], str], IndexRows] | None] = {}
    for head in heads:
        name = registry.type_names[head.type_id]
        ids.add(param_id(name, job.code))
        if head.deleted:
            continue
        resource = decode(head.body)
        # Of the keys all are compared, so that those of an earlier form of the parameter go.
        full = extract(registry, resource, base)
        keys = set(full.keys)
        difference.gone[_TOKEN] |= {(key, head.ts, head.rid) for key in head.keys - keys}
        difference.come[_TOKEN] |= {(key, head.ts, head.rid) for key in full.tokens if key not in head.keys}
        if keys != head.keys:
            difference.heads[head.rid] = (head.ts, full.keys)
        if name not in alone:
            param = registry.search_params(name).get(job.code)
            alone[name] = None if param is None else extract_param(registry, param)
        only = alone[name]
        if only is not None:
            rows_of_it = only(resource, base)
            codes.update(rows_of_it.codes)
            _gather(want, rows_of_it, head)
    ids.update(row[0] for table, rows in want.items() if table != _TOKEN for row in rows)
    have = stored.stored_typed(db, tenant_id, [head.rid for head in heads], params=sorted(ids))
    for table, rows in have.items():
        difference.gone[table], difference.come[table] = rows - want[table], want[table] - rows
    stored.repair(db, tenant_id, difference.gone, difference.come, difference.heads)
    used_codes.add(db, tenant_id, codes)
    return heads


def _gather(into: RowsByTable, rows: IndexRows, head: Head, ts: int | None = None) -> None:
    for table in TABLES:
        into[table.name].update(table.rows(rows, head.ts if ts is None else ts, head.rid))


# -- a whole tenant ----------------------------------------------------------------------------------------------------


def reindex(
    db: Session, tenant: Tenant, registry: Registry, *, base: str, after: int = 0, limit: int = 200
) -> Progress:
    """Compare the next resources with their index rows and repair what differs. Start with `after=0`.

    The rules of consents are made anew as well. At the end the tenant's used codes are known to be complete.
    """
    tenant_id = tenant.id
    heads = stored.batch(db, tenant_id, after, limit, lock=True)
    last = len(heads) < limit
    upto = None if last else heads[-1].rid
    found = _compare(db, tenant_id, registry, heads, base, stored.stored_typed_between(db, tenant_id, after, upto))
    stored.repair(db, tenant_id, found.gone, found.come, found.heads)
    used_codes.add(db, tenant_id, found.codes)
    if last:
        used_codes.gathered(db, tenant_id)
    kind = registry.type_ids["Consent"]
    consents = {head.rid: decode(head.body) for head in heads if head.type_id == kind and not head.deleted}
    if consents:
        consent.renew(db, tenant_id, consents, Reader(registry, base, ZoneInfo(tenant.zone)))
    db.commit()
    return Progress(len(heads), len(found.rids()), upto)


def sweep(db: Session, tenant_id: int, after: stored.Place = stored.FIRST) -> tuple[int, stored.Place | None]:
    """Delete token rows that belong to no resource's keys, in the next part of the table; (deleted, where to go on)."""
    strays, following = _strays_after(db, tenant_id, after, lock=True)
    if strays:
        stored.delete_tokens(db, tenant_id, strays)
    db.commit()
    return len(strays), following


def _strays_after(
    db: Session, tenant_id: int, after: stored.Place, *, lock: bool
) -> tuple[list[stored.Place], stored.Place | None]:
    strays, following = stored.stray_tokens(db, tenant_id, after, _SWEEP)
    if strays:
        heads = {head.rid: head for head in stored.heads_of(db, tenant_id, [place[2] for place in strays], lock=lock)}
        strays = [place for place in strays if not _holds(heads.get(place[2]), place)]
    return strays, following


def _holds(head: Head | None, place: stored.Place) -> bool:
    if head is None or head.ts != place[1]:
        return False
    return place[0] in (gone_among(head.keys) if head.deleted else head.keys)


def _of_deletion(head: Head) -> IndexRows:
    """What a deletion keeps cannot be computed any more: what it came from is not on the row."""
    return IndexRows(keys=list(head.keys), tokens=gone_among(head.keys))


def _compare(
    db: Session, tenant_id: int, registry: Registry, heads: Sequence[Head], base: str, have: RowsByTable
) -> Difference:
    """The difference between these resources and the index; `have`: what the tables other than token hold."""
    found = Difference()
    want: RowsByTable = {table.name: set() for table in TABLES}
    asked: Rows = set()
    codes: dict[UsedCode, int] = {}
    for head in heads:
        rows = _of_deletion(head) if head.deleted else extract(registry, decode(head.body), base)
        ts = head.ts if head.deleted else clock.micros(head.rid) if rows.ts is None else rows.ts
        _gather(want, rows, head, ts)
        codes.update(dict.fromkeys(rows.codes, head.rid))
        asked.update((key, head.ts, head.rid) for key in head.keys)
        if set(rows.keys) != head.keys or ts != head.ts:
            found.heads[head.rid] = (ts, rows.keys)
    have = {**have, _TOKEN: stored.stored_tokens(db, tenant_id, asked | want[_TOKEN])}
    for table, rows_now in have.items():
        # Keys that are on the row alone have no token row, and are asked only to find rows that should not be.
        found.gone[table], found.come[table] = rows_now - want[table], want[table] - rows_now
    found.codes = used_codes.missing(db, tenant_id, codes)
    return found


# -- the check ---------------------------------------------------------------------------------------------------------


def check(
    db: Session, tenant_id: int, registry: Registry, *, base: str, sample: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Whether the index says what the resources say; of all resources, or of `sample` of them chosen by `seed`.

    `{"ok", "checked", "wrong", "missing": {table: rows}, "extra": {table: rows}, "rows_of_nothing", "examples"}`:
    `wrong` counts resources whose own row (keys, clinical time) is wrong; `rows_of_nothing`, only in a check of all,
    are token rows that no resource has. `examples` names up to 20 resources as `Type/id`. Nothing is changed.
    """
    summary: dict[str, Any] = {
        "ok": True, "checked": 0, "wrong": 0, "missing": {table.name: 0 for table in TABLES} | {_USED_CODE: 0},
        "extra": {table.name: 0 for table in TABLES}, "rows_of_nothing": 0, "examples": [],
    }  # fmt: skip
    parts = _all(db, tenant_id) if sample is None else _sampled(db, tenant_id, sample, seed)
    for heads, have in parts:
        summary["checked"] += len(heads)
        found = _compare(db, tenant_id, registry, heads, base, have)
        suspects = found.rids()
        db.commit()
        if suspects:
            _report(summary, _confirmed(db, tenant_id, registry, base, suspects), registry)
    if sample is None:
        summary["rows_of_nothing"] = _strays(db, tenant_id)
    counts = (summary["wrong"], summary["rows_of_nothing"], *summary["missing"].values(), *summary["extra"].values())
    summary["ok"] = not any(counts)
    return summary


_Part = tuple[list[Head], RowsByTable]


def _all(db: Session, tenant_id: int, limit: int = 200) -> Iterator[_Part]:
    after: int | None = 0
    while after is not None:
        heads = stored.batch(db, tenant_id, after, limit, lock=False)
        upto = None if len(heads) < limit else heads[-1].rid
        yield heads, stored.stored_typed_between(db, tenant_id, after, upto)
        after = upto


def _sampled(db: Session, tenant_id: int, sample: int, seed: int, limit: int = 200) -> Iterator[_Part]:
    start = Random(seed).getrandbits(64) - 2**63
    heads = stored.sample(db, tenant_id, start, sample)
    if len(heads) < sample:
        known = {head.rid for head in heads}
        again = stored.sample(db, tenant_id, -(2**63), sample - len(heads))
        heads += [head for head in again if head.rid not in known]
    for at in range(0, len(heads), limit):
        some = heads[at : at + limit]
        yield some, stored.stored_typed(db, tenant_id, [head.rid for head in some])


def _confirmed(
    db: Session, tenant_id: int, registry: Registry, base: str, suspects: Iterable[int]
) -> tuple[Difference, list[Head]]:
    # Resources and rows were read at different moments; what differs is looked at again where no writer can be.
    rids = sorted(suspects)
    heads = stored.heads_of(db, tenant_id, rids, lock=True)
    found = _compare(db, tenant_id, registry, heads, base, stored.stored_typed(db, tenant_id, rids))
    db.commit()
    return found, heads


def _report(summary: dict[str, Any], confirmed: tuple[Difference, list[Head]], registry: Registry) -> None:
    found, heads = confirmed
    for side, rows_by_table in (("missing", found.come), ("extra", found.gone)):
        for table, rows in rows_by_table.items():
            summary[side][table] += len(rows)
    summary["missing"][_USED_CODE] += len(found.codes)
    summary["wrong"] += len(found.heads)
    wrong = found.rids()
    names = [f"{registry.type_names[head.type_id]}/{head.id}" for head in heads if head.rid in wrong]
    summary["examples"] = [*summary["examples"], *names][:_MOST_EXAMPLES]


def _strays(db: Session, tenant_id: int) -> int:
    count, place = 0, stored.FIRST
    while True:
        strays, following = _strays_after(db, tenant_id, place, lock=False)
        db.commit()
        count += len(strays)
        if following is None:
            return count
        place = following
