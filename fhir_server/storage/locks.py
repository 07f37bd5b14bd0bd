"""Locks that hold until the transaction ends."""

from collections.abc import Sequence

from fhir_server.storage.session import Session


def lock(db: Session, key: int) -> None:
    """Wait until no other transaction of the database holds `key` (a 64-bit hash that names tenant and purpose)."""
    db.run([("SELECT pg_advisory_xact_lock($1)", (key,))])


def lock_all(db: Session, keys: Sequence[int]) -> None:
    """The same for several keys, in the given order, in one round trip."""
    db.run([("SELECT pg_advisory_xact_lock($1)", (key,)) for key in keys])


def try_lock(db: Session, key: int) -> bool:
    """The same without waiting: whether nobody else held it."""
    return db.run([("SELECT pg_try_advisory_xact_lock($1)", (key,))])[0][0][0] == b"t"


def go_on(db: Session) -> None:
    """Say that the open transaction is still at work; it would be ended after a minute of silence, and its locks with
    it."""
    db.run([("SELECT 1", ())])
