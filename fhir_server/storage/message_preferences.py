"""Statements on who wants which messages. `whom` is a keyed hash of an address or a person: the table names nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import wire
from fhir_server.storage.session import Session, Statement


@dataclass(frozen=True, slots=True)
class Preference:
    """What was said of a kind through a channel; "" is every one. source: who said it. changed: microseconds."""

    whom: bytes
    kind: str
    channel: str
    wanted: bool
    source: str
    changed: int


_OF = (
    "SELECT encode(whom, 'hex'), kind, channel, wanted, source, (extract(epoch FROM changed_at) * 1000000)::bigint"
    " FROM message_preference WHERE tenant_id = $1 AND whom = ANY($2::bytea[])"
    " ORDER BY whom, kind, channel"
)
_PUT = (
    "INSERT INTO message_preference (tenant_id, whom, kind, channel, wanted, source, changed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (tenant_id, whom, kind, channel)"
    " DO UPDATE SET wanted = excluded.wanted, source = excluded.source, changed_at = excluded.changed_at"
)


def of(db: Session, tenant_id: int, whom: Sequence[bytes]) -> list[Preference]:
    """What these said, by whom, kind and channel."""
    if not whom:
        return []
    hashes = "{" + ",".join(f'"\\\\x{one.hex()}"' for one in whom) + "}"
    rows = db.run([(_OF, (tenant_id, hashes))])[0]
    return [
        Preference(
            bytes.fromhex((hash_ or b"").decode()),
            (kind or b"").decode(),
            (channel or b"").decode(),
            wanted == b"t",
            (source or b"").decode(),
            int(changed or b"0"),
        )
        for hash_, kind, channel, wanted, source, changed in rows
    ]


def put(tenant_id: int, whom: bytes, kind: str, channel: str, *, wanted: bool, source: str) -> Statement:
    """The statement that keeps what was said; the last word counts."""
    return _PUT, (tenant_id, wire.Binary(whom), kind, channel, wanted, source)


def forget_all(tenant_id: int, whom: bytes) -> Statement:
    """The statement that forgets everything that was said."""
    return "DELETE FROM message_preference WHERE tenant_id = $1 AND whom = $2", (tenant_id, wire.Binary(whom))


def forget(tenant_id: int, whom: bytes, kind: str, channel: str) -> Statement:
    """The statement that makes it as if nothing had been said."""
    sql = "DELETE FROM message_preference WHERE tenant_id = $1 AND whom = $2 AND kind = $3 AND channel = $4"
    return sql, (tenant_id, wire.Binary(whom), kind, channel)
