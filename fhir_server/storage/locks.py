"""Locks that hold until the transaction ends."""

from fhir_server.storage.session import Session


def lock(db: Session, key: int) -> None:
    """Wait until no other transaction of the database holds `key` (a 64-bit hash that names tenant and purpose)."""
    db.run([("SELECT pg_advisory_xact_lock($1)", (key,))])
