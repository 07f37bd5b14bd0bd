"""Statements on the secret links of calendars, found by the SHA-256 of the secret."""

from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement


@dataclass(frozen=True, slots=True)
class CalendarLink:
    """`actor`: whose visits (`Practitioner/1`, `Schedule/1` …); `names`: whether it shows who comes; times as ISO text,
    `revoked` "" while it is good."""

    id: str
    actor: str
    names: bool
    created: str
    revoked: str = ""


_COLUMNS = (
    'link_id, actor, names, to_char(created_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\'),'
    " coalesce(to_char(revoked_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '')"
)
_SAVE = "INSERT INTO calendar_link (tenant_id, link_id, hash, actor, names) VALUES ($1, $2, $3, $4, $5)"
_FIND = f"SELECT {_COLUMNS} FROM calendar_link WHERE tenant_id = $1 AND hash = $2 AND revoked_at IS NULL"
_EVERY = f"SELECT {_COLUMNS} FROM calendar_link WHERE tenant_id = $1 ORDER BY created_at, link_id"
_REVOKE = (
    "UPDATE calendar_link SET revoked_at = now() WHERE tenant_id = $1 AND revoked_at IS NULL AND {0} = $2"
    " RETURNING link_id"
)


def save(tenant_id: int, digest: bytes, link: CalendarLink) -> Statement:
    """The statement that keeps a new link."""
    return _SAVE, (tenant_id, link.id, wire.Binary(digest), link.actor, link.names)


def find(db: Session, tenant_id: int, digest: bytes) -> CalendarLink | None:
    """The link of a secret, unless it was revoked."""
    rows = db.run([(_FIND, (tenant_id, wire.Binary(digest)))])[0]
    return _link(rows[0]) if rows else None


def every(db: Session, tenant_id: int) -> list[CalendarLink]:
    """All links, revoked ones too, oldest first."""
    return [_link(row) for row in db.run([(_EVERY, (tenant_id,))])[0]]


def revoke(tenant_id: int, link_id: str) -> Statement:
    """The statement that ends a link; a row when it was good."""
    return _REVOKE.format("link_id"), (tenant_id, link_id)


def revoke_all(tenant_id: int, actor: str) -> Statement:
    """The statement that ends every link to an actor's calendar; a row for each."""
    return _REVOKE.format("actor"), (tenant_id, actor)


def _link(row: Row) -> CalendarLink:
    link_id, actor, names, created, revoked = ((value or b"").decode() for value in row)
    return CalendarLink(link_id, actor, names == "t", created, revoked)
