"""Statements on how far queues have come, for who asks often whether anything happened."""

from collections.abc import Sequence

from fhir_server.storage import wire
from fhir_server.storage.session import Session


def events(db: Session, tenant_id: int, queues: Sequence[int]) -> list[tuple[int, int]]:
    """(queue, number of its last event), by queue: other than before when anything happened in one of them."""
    sql = "SELECT queue, events FROM queue_state WHERE tenant_id = $1 AND queue = ANY($2) ORDER BY queue"
    rows = db.run([(sql, (tenant_id, wire.bigints(queues)))])[0]
    return [(int(row[0] or b"0"), int(row[1] or b"0")) for row in rows]
