"""Statements that read the audit log: pages of it, and what the numbers in its rows stand for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_server.core.keys import self_key
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Logged:
    """A row of the log, as `storage.audit.Entry` says, with its transaction's number."""

    xid: int
    seq: int
    event: int
    outcome: int
    type_id: int | None
    rids: tuple[int, ...]
    agent: str
    client_id: str
    purpose: str
    request_id: str
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows. None: any. `ids`: (xid, seq); `since`, `until`: seq, half-open; `users`: ids of accounts; `shown`:
    rids of which one must be among a row's; `patients`: keys of `core.keys.patient_key`, of which one is concerned."""

    ids: Sequence[tuple[int, int]] | None = None
    since: int | None = None
    until: int | None = None
    events: Sequence[int] | None = None
    outcomes: Sequence[int] | None = None
    types: Sequence[int] | None = None
    users: Sequence[str] | None = None
    shown: Sequence[int] | None = None
    patients: Sequence[int] | None = None


_COLUMNS = (
    "a.xid, a.seq, a.event, a.outcome, a.type_id, a.rids, a.agent, a.client_id, a.purpose, a.request_id,"
    " encode(a.sealed, 'hex') AS sealed"
)
_SEALED_TO = (
    "coalesce((SELECT to_xid FROM audit_seal WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1), '0'::xid8)"
)


def page(tenant_id: int, wanted: Wanted, *, after: int | None, ascending: bool, limit: int) -> Statement:
    """At most `limit` rows after the seq `after`, newest first or, `ascending`, oldest first.

    The rows of a patient are found by the index that sealing makes; rows that are not sealed yet, by their resources.
    """
    w = Writer(tenant_id)
    where = _conditions(w, wanted)
    within = _bounds(w, wanted, after, ascending)
    order = "" if ascending else " DESC"
    most = w.p(limit, "integer")
    own = " AND ".join(["a.tenant_id = $1", *where, *[f"a.{bound}" for bound in within]])
    if wanted.patients is None:
        return f"SELECT {_COLUMNS} FROM audit a WHERE {own} ORDER BY a.seq{order} LIMIT {most}", w.params
    keys = w.p(wire.bigints(wanted.patients), "bigint[]")
    indexed = " AND ".join(["p.tenant_id = $1", *[f"p.{bound}" for bound in within]])
    if len(wanted.patients) == 1:
        # Of one patient, the index has the rows in order: a page reads a page's worth of them.
        concerned = f"(SELECT p.seq, p.xid FROM audit_patient p WHERE {indexed} AND p.patient = ({keys})[1])"
    else:
        concerned = f"(SELECT DISTINCT p.seq, p.xid FROM audit_patient p WHERE {indexed} AND p.patient = ANY({keys}))"
    sealed = (
        f"SELECT {_COLUMNS} FROM {concerned} p JOIN audit a ON a.tenant_id = $1 AND a.xid = p.xid AND a.seq = p.seq"
        f" WHERE {own} ORDER BY p.seq{order} LIMIT {most}"
    )
    fresh = (
        f"SELECT {_COLUMNS} FROM audit a WHERE {own} AND a.xid >= {_SEALED_TO} AND EXISTS (SELECT FROM unnest(a.rids)"
        f" AS u(rid) JOIN resource r ON r.tenant_id = $1 AND r.rid = u.rid WHERE r.keys && {keys})"
        f" ORDER BY a.seq{order} LIMIT {most}"
    )
    return f"SELECT * FROM (({sealed}) UNION ALL ({fresh})) both_ ORDER BY seq{order} LIMIT {most}", w.params


def _bounds(w: Writer, wanted: Wanted, after: int | None, ascending: bool) -> list[str]:
    """Conditions on `seq`."""
    found = []
    if wanted.since is not None:
        found.append(f"seq >= {w.p(wanted.since, 'bigint')}")
    if wanted.until is not None:
        found.append(f"seq < {w.p(wanted.until, 'bigint')}")
    if after is not None:
        found.append(f"seq {'>' if ascending else '<'} {w.p(after, 'bigint')}")
    return found


def _conditions(w: Writer, wanted: Wanted) -> list[str]:
    found = []
    if wanted.ids is not None:
        xids = w.p(wire.texts([str(xid) for xid, _ in wanted.ids]), "text[]")
        seqs = w.p(wire.bigints([seq for _, seq in wanted.ids]), "bigint[]")
        found.append(f"(a.xid, a.seq) IN (SELECT i.xid::xid8, i.seq FROM unnest({xids}, {seqs}) AS i(xid, seq))")
    for column, numbers in (("event", wanted.events), ("outcome", wanted.outcomes), ("type_id", wanted.types)):
        if numbers is not None:
            found.append(f"a.{column} = ANY({w.p(wire.smallints(numbers), 'smallint[]')})")
    if wanted.users is not None:
        names = w.p(wire.texts([f"user:{user}" for user in wanted.users]), "text[]")
        found.append(f"split_part(a.agent, ' ', 1) = ANY({names})")
    if wanted.shown is not None:
        found.append(f"a.rids && {w.p(wire.bigints(wanted.shown), 'bigint[]')}")
    return found


def logged(row: Row) -> Logged:
    """A row of `page`."""
    xid, seq, event, outcome, type_id, rids, agent, client, purpose, request, sealed = row
    numbers = (rids or b"").strip(b"{}")
    return Logged(
        int(xid or 0), int(seq or 0), int(event or 0), int(outcome or 0), None if type_id is None else int(type_id),
        tuple(int(each) for each in numbers.split(b",")) if numbers else (), (agent or b"").decode(),
        (client or b"").decode(), (purpose or b"").decode(), (request or b"").decode(),
        None if sealed is None else bytes.fromhex(sealed.decode()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """Who a user of the log is."""

    fhir_user: str | None
    role: str
    name: str


@dataclass(frozen=True, slots=True)
class Names:
    """What numbers and ids of the log stand for. `resources`: rid -> (type id, id); `versions`: seq of a written
    version -> its number; what is not there any more is left out."""

    resources: dict[int, tuple[int, str]]
    versions: dict[int, int]
    users: dict[str, Account]
    clients: dict[str, str]


_RESOURCES = (
    "SELECT r.rid, r.type_id, r.id FROM unnest($2::bigint[]) AS n(rid)"
    " JOIN resource r ON r.tenant_id = $1 AND r.rid = n.rid"
)
_VERSIONS = (
    "SELECT c.seq, c.version FROM unnest($2::bigint[]) AS n(seq) JOIN change c ON c.tenant_id = $1 AND c.seq = n.seq"
)
_USERS = "SELECT user_id, fhir_user, role, name FROM user_account WHERE tenant_id = $1 AND user_id = ANY($2::text[])"
_CLIENTS = (
    "SELECT client_id, metadata ->> 'client_name' FROM oauth_client WHERE tenant_id = $1"
    " AND client_id = ANY($2::text[])"
)


def names(
    db: Session, tenant_id: int, rids: Sequence[int], seqs: Sequence[int], users: Iterable[str], clients: Iterable[str]
) -> Names:
    """Look up everything that a page of the log refers to, in one round trip."""
    found, versions, people, apps = db.run(
        [
            (_RESOURCES, (tenant_id, wire.bigints(rids))),
            (_VERSIONS, (tenant_id, wire.bigints(seqs))),
            (_USERS, (tenant_id, wire.texts(users))),
            (_CLIENTS, (tenant_id, wire.texts(clients))),
        ]
    )
    return Names(
        {int(rid or 0): (int(kind or 0), (id_ or b"").decode()) for rid, kind, id_ in found},
        {int(seq or 0): int(version or 0) for seq, version in versions},
        {
            (user or b"").decode(): Account(
                None if fhir_user is None else fhir_user.decode(), (role or b"").decode(), (name or b"").decode()
            )
            for user, fhir_user, role, name in people
        },
        {(client or b"").decode(): (name or b"").decode() for client, name in apps},
    )


_USERS_OF = "SELECT user_id FROM user_account WHERE tenant_id = $1 AND fhir_user = ANY($2::text[])"


def users_of(db: Session, tenant_id: int, fhir_users: Sequence[str]) -> list[str]:
    """Ids of the accounts that are linked to one of these resources (`Practitioner/1`)."""
    return [(row[0] or b"").decode() for row in db.run([(_USERS_OF, (tenant_id, wire.texts(fhir_users)))])[0]]


_RIDS_OF = (
    "SELECT r.rid FROM unnest($2::bigint[], $3::smallint[], $4::text[]) AS n(self_key, type_id, id)"
    " JOIN resource r ON r.tenant_id = $1 AND r.self_key = n.self_key AND r.type_id = n.type_id AND r.id = n.id"
)


def rids_of(db: Session, tenant_id: int, wanted: Sequence[tuple[str, int, str]]) -> list[int]:
    """Numbers of the resources (type, type id, id), deleted ones too."""
    keys = wire.bigints([self_key(name, id_) for name, _, id_ in wanted])
    types = wire.smallints([type_id for _, type_id, _ in wanted])
    rows = db.run([(_RIDS_OF, (tenant_id, keys, types, wire.texts([id_ for _, _, id_ in wanted])))])[0]
    return [int(row[0] or 0) for row in rows]
