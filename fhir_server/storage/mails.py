"""Statements on mail that waits to be sent. Letters are sealed; a sent one is emptied."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.storage import clock, wire
from fhir_server.storage.session import Session, Statement

MOST_ATTEMPTS = 10
_BATCH = 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that this process is to send now."""

    mail_id: int
    sealed: bytes
    attempts: int


def add(tenant_id: int, sealed: bytes) -> Statement:
    """The statement that keeps a letter to send."""
    sql = "INSERT INTO mail (tenant_id, mail_id, sealed) VALUES ($1, $2, $3)"
    return sql, (tenant_id, clock.tick(), wire.Binary(sealed))


# Taken letters come back by themselves, later each time (1 minute, 2, 4, … up to 6 hours), should this process die.
_TAKE = (
    "UPDATE mail SET attempts = attempts + 1,"
    " next_attempt = now() + least(interval '1 minute' * power(2, attempts), interval '6 hours')"
    " WHERE tenant_id = $1 AND mail_id IN (SELECT mail_id FROM mail WHERE tenant_id = $1 AND next_attempt <= now()"
    f" AND sent_at IS NULL AND failed_at IS NULL ORDER BY next_attempt LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)"
    " RETURNING mail_id, encode(sealed, 'hex'), attempts"
)


def take(db: Session, tenant_id: int) -> list[Waiting]:
    """Letters whose time has come, each given to one process."""
    rows = db.run([(_TAKE, (tenant_id,))], final=True)[0]
    return [
        Waiting(int(mail_id or b"0"), bytes.fromhex((sealed or b"").decode()), int(attempts or b"0"))
        for mail_id, sealed, attempts in rows
    ]


def put_back(tenant_id: int, mail_ids: Sequence[int]) -> Statement:
    """The statement that gives taken letters back untried, for a minute later."""
    sql = (
        "UPDATE mail SET attempts = attempts - 1, next_attempt = now() + interval '1 minute'"
        " WHERE tenant_id = $1 AND mail_id = ANY($2::bigint[])"
    )
    return sql, (tenant_id, wire.bigints(mail_ids))


def sent(tenant_id: int, mail_id: int) -> Statement:
    """The statement that closes a letter that was sent. Its content is not needed any more."""
    return "UPDATE mail SET sent_at = now(), sealed = '' WHERE tenant_id = $1 AND mail_id = $2", (tenant_id, mail_id)


def failed(tenant_id: int, mail_id: int) -> Statement:
    """The statement that gives a letter up."""
    return "UPDATE mail SET failed_at = now(), sealed = '' WHERE tenant_id = $1 AND mail_id = $2", (tenant_id, mail_id)
