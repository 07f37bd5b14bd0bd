"""What stands in the agendas after a race: asked of the claims (SQL) and, independently, of the stored Appointments."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_server.settings import settings
from fhir_server.supervisor import layout, postgres
from tests.client import Client
from tests.features.scheduling.clinic_day import Practice

if TYPE_CHECKING:
    from tests.conftest import TestTenant

OVERLAPS = """
SELECT count(*) FROM slot_claim a JOIN slot_claim b ON b.tenant_id = a.tenant_id AND b.actor = a.actor AND b.seat = a.seat
 AND b.holder <> a.holder AND tstzrange(a.starts, a.ends) && tstzrange(b.starts, b.ends) WHERE a.tenant_id = %s"""
ORPHANS = """
SELECT count(*) FROM slot_claim c LEFT JOIN resource r ON r.tenant_id = c.tenant_id AND r.rid = c.holder AND NOT r.deleted
 WHERE c.tenant_id = %s AND r.rid IS NULL"""


def counted(sql: str, tenant: "TestTenant") -> int:
    with postgres.connect(layout.prepare(Path(settings.data_dir)), "fhir") as db:
        row = db.execute(sql, (tenant.id,)).fetchone()
        assert row is not None
        return int(row[0])


def check_nothing_overlaps(tenant: "TestTenant", client: Client, practices: list[Practice], capacity: int = 1) -> int:
    """How many visits stand in the agendas, of which no more than `capacity` are at the same time."""
    assert counted(OVERLAPS, tenant) == 0
    assert counted(ORPHANS, tenant) == 0
    total = 0
    for doctor in itertools.chain.from_iterable(practice.practitioner for practice in practices):
        found = client.search(f"Appointment?actor={doctor}&status=booked,pending,arrived&_count=500&_sort=date")
        total += len(found)
        edges = sorted([(each["end"], -1) for each in found] + [(each["start"], 1) for each in found])
        at_once = itertools.accumulate(step for _, step in edges)
        assert max(at_once, default=0) <= capacity
    return total
