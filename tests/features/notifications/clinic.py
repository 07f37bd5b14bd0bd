"""A clinic whose changes are followed by hand, so that a test says when."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.events.feed import in_version_order
from fhir_server.features.notifications import occasions, outbox, reminders
from fhir_server.features.notifications.draft import Draft
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage import changes, messages, operator
from tests.conftest import TestTenant

E = "urn:salam:StructureDefinition:"


class Clinic:
    """A tenant, its people and what was told to them."""

    def __init__(self, tenant: TestTenant) -> None:
        self.tenant, self.client = tenant, tenant.client()
        self._seen: changes.Position = (0, 0)

    def set(self, **settings: Any) -> None:
        """Change the tenant's settings."""
        operator.change_settings(session(), self.tenant.slug, settings)

    def context(self) -> Context:
        """The server's own context, now."""
        return server_context(session(), refresh(session(), self.tenant.slug))

    def follow(self, *, again: bool = False) -> None:
        """Tell the follower what changed since the last time; with `again`, all that ever changed."""
        ctx = self.context()
        after = (0, 0) if again else self._seen
        seen, _ = changes.visible(ctx.db, ctx.tenant.id, after, 10_000)
        with ctx.db.hold():
            occasions.follow(ctx, in_version_order(seen))
        ctx.db.commit()
        if seen:
            self._seen = max(self._seen, seen[-1].position)

    def tend(self) -> None:
        """Let reminders that are due be handed over."""
        reminders.tend(self.context())

    def drafts(self, **wanted: str) -> list[Draft]:
        """What waits to be sent, oldest first, where its fields are these."""
        ctx = self.context()
        with ctx.db.hold():
            found = [outbox.opened(ctx, row) for row in _all(ctx)]
        ctx.db.rollback()
        return [draft for draft in found if all(getattr(draft, name) == value for name, value in wanted.items())]

    def told(self) -> list[tuple[str, str, str]]:
        """(kind, channel, recipient) of every message, in-app ones included, in no order but sorted."""
        found = self.client.search("Communication?_count=500")
        return sorted(
            (each["category"][0]["coding"][0]["code"], each["medium"][0]["coding"][0]["code"], each["recipient"][0]["reference"])
            for each in found
        )

    def planned(self, status: str = "active") -> list[dict[str, Any]]:
        """Reminders, by their time."""
        found = self.client.search(f"CommunicationRequest?status={status}&_count=100")
        return sorted(found, key=lambda request: str(request["occurrenceDateTime"]))

    def patient(self, **more: Any) -> str:
        """A patient with a mobile number: `Patient/id`."""
        telecom = [{"system": "phone", "use": "mobile", "value": "0612 34 56 78"}]
        stored = self.client.create({"resourceType": "Patient", "name": [{"given": ["Fatima"]}], "telecom": telecom, **more})
        return f"Patient/{stored['id']}"

    def visit(self, start: datetime, *people: str, status: str = "booked", **more: Any) -> dict[str, Any]:
        """An appointment of half an hour."""
        return self.client.create({
            "resourceType": "Appointment", "status": status, "start": text(start), "end": text(start + timedelta(minutes=30)),
            "participant": [{"actor": {"reference": name}, "status": "accepted"} for name in people], **more,
        })  # fmt: skip

    def change(self, resource: dict[str, Any], **elements: Any) -> dict[str, Any]:
        """Write the resource with other elements."""
        answer = self.client.put(f"{resource['resourceType']}/{resource['id']}", {**resource, **elements})
        assert answer.status == 200, answer.text
        changed: dict[str, Any] = answer.json
        return changed

    def move(self, visit: dict[str, Any], start: datetime) -> dict[str, Any]:
        """Move an appointment."""
        return self.change(visit, start=text(start), end=text(start + timedelta(minutes=30)))


def text(moment: datetime) -> str:
    """As FHIR writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def soon(days: int, hour: int = 10) -> datetime:
    """At this hour, UTC, so many days from today."""
    return clock.now().replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days)


@contextmanager
def later(ahead: timedelta) -> Iterator[None]:
    """As if so much time had passed."""
    clock.move(ahead)
    try:
        yield
    finally:
        clock.move(timedelta())


def _all(ctx: Context) -> list[messages.Message]:
    rows = ctx.db.run([("SELECT message_id FROM message WHERE tenant_id = $1 AND channel <> 'in-app' ORDER BY message_id", (ctx.tenant.id,))])[0]
    found = [messages.lock(ctx.db, ctx.tenant.id, int(row[0] or b"0")) for row in rows]
    return [row for row in found if row is not None]
