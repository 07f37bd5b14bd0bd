"""Sealing the audit log: a chain of signed hashes over its rows, a batch at a time, after they were committed.

Chaining within each transaction would let only one transaction of a tenant commit at a time. So rows are sealed a few
seconds later; what happens to a row before that is not found (the statement in docs of that window is this one).

A link's hash is SHA-256(previous hash ‖ canonical bytes of each row in the order of (xid, seq)); its signature is
Ed25519 over the link's fields. https://www.rfc-editor.org/rfc/rfc8032
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fhir_server.core.keys import patient_key
from fhir_server.core.resource_json import decode
from fhir_server.security import audit_key
from fhir_server.security.audit_events import SEALED_FOR, by_number
from fhir_server.security.audit_patients import patients_of
from fhir_server.security.sealing import Unsealable, unseal
from fhir_server.storage import audit_chain as chain
from fhir_server.storage.audit_chain import RIDS, SEALED, SEQ, XID, Link
from fhir_server.storage.session import Row, Session

BATCH = 10_000
GENESIS = bytes(32)
_FIELDS = SEALED + 1
_length = struct.Struct(">i").pack
_ABSENT = _length(-1)


def seal(db: Session, tenant_id: int) -> int:
    """Seal the rows of finished transactions, at most a batch (10,000, and never half a transaction); how many.

    The session must have entered the tenant; commits. 0 when there is nothing, or when another process is at it.
    """
    mine, last = chain.take(db, tenant_id)
    if not mine:
        db.commit()
        return 0
    start = last.to_xid if last else 0
    rows, end = _batch(db, tenant_id, start)
    if not rows:
        db.commit()
        return 0
    previous = last.hash if last else GENESIS
    digest = digest_of(previous, rows)
    key = audit_key.sealing_key()
    unsigned = Link(last.number + 1 if last else 1, start, end, len(rows), previous, digest, b"", key.name)
    signature = key.sign(signed_text(tenant_id, unsigned))
    link = Link(unsigned.number, start, end, len(rows), previous, digest, signature, key.name)
    chain.add(db, tenant_id, link, _concerned(db, tenant_id, rows))
    db.commit()
    audit_key.record(_checkpoint(tenant_id, link))
    return len(rows)


def digest_of(previous: bytes, rows: Iterable[Row]) -> bytes:
    """The hash of rows after the hash before them."""
    digest = sha256(previous)
    extend(digest, rows)
    return digest.digest()


def extend(digest: Any, rows: Iterable[Row]) -> None:
    """Add the canonical bytes of rows to a running SHA-256: each field's length (4 bytes, -1 for NULL) and text."""
    for row in rows:
        parts: list[bytes] = []
        for value in row[:_FIELDS]:
            parts += (_ABSENT,) if value is None else (_length(len(value)), value)
        digest.update(b"".join(parts))


def signed_text(tenant_id: int, link: Link) -> bytes:
    """What a link's signature covers."""
    fields = (tenant_id, link.number, link.from_xid, link.to_xid, link.events, link.previous.hex(), link.hash.hex())
    return ("salam audit 1|" + "|".join(map(str, fields))).encode()


def _batch(db: Session, tenant_id: int, start: int) -> tuple[list[Row], int]:
    """The next rows to seal and the transaction before which they end."""
    limit = BATCH
    while True:
        rows = chain.ready(db, tenant_id, start, limit + 1)
        if len(rows) <= limit:
            return rows, int(rows[0][_FIELDS] or 0) if rows else start
        cut = int(rows[-1][XID] or 0)
        whole = [row for row in rows if int(row[XID] or 0) < cut]
        if whole:
            return whole, cut
        # One transaction has more rows than a batch; it is sealed as a whole.
        limit *= 4


def _concerned(db: Session, tenant_id: int, rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """`(patient key, seq, xid)` for each patient that a row concerns."""
    shown = [(row, rids_of(row)) for row in rows]
    patients = patients_of(db, tenant_id, (rid for _, rids in shown for rid in rids))
    found: set[tuple[int, int, int]] = set()
    for row, rids in shown:
        names = {name for rid in rids for name in patients.get(rid, ())}
        named = _named(db, tenant_id, row)
        if named is not None:
            names.add(named)
        place = (int(row[SEQ] or 0), int(row[XID] or 0))
        found.update((patient_key(name), *place) for name in names)
    return sorted(found)


def _named(db: Session, tenant_id: int, row: Row) -> str | None:
    """The patient whom the sealed detail of an event names, for events that are about one (a launch, break-glass)."""
    kind = by_number().get(int(row[chain.EVENT] or 0))
    sealed = row[SEALED]
    if kind is None or not kind.names_patient or sealed is None:
        return None
    try:
        detail = decode(unseal(db, tenant_id, bytes.fromhex(sealed.decode()), SEALED_FOR))
    except Unsealable:
        return None
    patient = detail.get("patient")
    return patient if isinstance(patient, str) else None


def rids_of(row: Row) -> list[int]:
    """The resources of a row."""
    text = (row[RIDS] or b"").strip(b"{}")
    return [int(each) for each in text.split(b",")] if text else []


def _checkpoint(tenant_id: int, link: Link) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "number": link.number,
        "to_xid": link.to_xid,
        "events": link.events,
        "hash": link.hash.hex(),
        "signature": link.signature.hex(),
        "key": link.key_name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
