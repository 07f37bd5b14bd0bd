"""A clinic that sends messages, for tests: drafts, the outbox, time, and providers that misbehave."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.features.notifications import delivery, occasions, outbox
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import Accepted, Found, Outcome, Outgoing
from fhir_server.interactions import stored
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage import messages, operator
from fhir_server.storage.messages import Message
from tests.conftest import TestTenant

EVERY = ("queued", "sending", "sent", "delivered", "failed", "dead", "stopped")


@dataclass
class Clinic:
    """A tenant, and what its occasions say: `wanted` of a draft that is about to be sent, `others` by channel."""

    tenant: TestTenant
    settings: dict[str, Any] = field(default_factory=dict)
    wanted: Callable[[Draft], Draft | None] = lambda draft: draft
    others: dict[str, Draft] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    patient: str = ""

    def context(self) -> Context:
        """The server's context in the tenant, in this thread."""
        db = session()
        ctx = server_context(db, refresh(db, self.tenant.slug))
        if self.settings:
            ctx.tenant.settings["notifications"] = self.settings  # type: ignore[index]
        return ctx

    def tenant_settings(self, chosen: dict[str, Any]) -> None:
        """Set the tenant's own settings of notifications, for requests too."""
        operator.change_settings(session(), self.tenant.slug, {"notifications": chosen})
        refresh(session(), self.tenant.slug)

    def draft(self, occasion: str, channel: str = "sms", address: str = "+212612345678", **more: Any) -> Draft:
        """A draft about the clinic's patient."""
        fields = {
            "kind": "reminder", "recipient": self.patient, "language": "fr", "subject": "", "text": "A demain 9 h.",
            "about": self.patient, "about_version": "1", "not_before": clock.now() - timedelta(seconds=1), **more,
        }  # fmt: skip
        return Draft(occasion=occasion, channel=channel, address=address, **fields)

    def enqueue(self, draft: Draft) -> bool:
        """Keep a draft, committed."""
        ctx = self.context()
        with ctx.db.hold():
            new = outbox.enqueue(ctx, draft)
        ctx.db.commit()
        return new

    def tend(self, **ahead: int) -> None:
        """Send what is due, now or so much `ahead`."""
        if ahead:
            clock.move(clock._ahead + timedelta(**ahead))
        delivery.tend(self.context())

    def messages(self) -> dict[str, Message]:
        """The rows, by occasion and channel: `o1/sms`."""
        ctx = self.context()
        rows = messages.listed(ctx.db, self.tenant.id, EVERY, 1000)
        ctx.db.commit()
        return {f"{row.occasion}/{row.channel}": row for row in rows}

    def communication(self, name: str) -> dict[str, Any]:
        """The Communication of a row."""
        row = self.messages()[name]
        ctx = self.context()
        found = stored.by_rid(ctx, [row.rid])[row.rid]
        ctx.db.commit()
        return found


@contextlib.contextmanager
def clinic_of(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """A clinic in a tenant, with a patient; its occasions are what the test says, and its clock starts now."""
    clinic = Clinic(tenant)
    patient = tenant.client().create({"resourceType": "Patient", "name": [{"family": "Essai"}]})
    clinic.patient = f"Patient/{patient['id']}"

    def still_wanted(ctx: Context, draft: Draft) -> Draft | None:
        clinic.asked.append(draft.occasion)
        return clinic.wanted(draft)

    def elsewhere(ctx: Context, draft: Draft, tried: list[str]) -> Draft | None:
        found = [other for channel, other in clinic.others.items() if channel not in tried]
        return msgspec.structs.replace(found[0], occasion=draft.occasion) if found else None

    monkeypatch.setattr(occasions, "still_wanted", still_wanted)
    monkeypatch.setattr(occasions, "on_another_channel", elsewhere)
    monkeypatch.setattr(delivery, "_away", {})
    try:
        yield clinic
    finally:
        clock.move(timedelta())


@dataclass
class Scripted:
    """A provider that answers from a list and remembers what it was asked."""

    answers: list[Outcome | BaseException] = field(default_factory=list)
    found: Found = field(default_factory=list)
    name: str = "scripted"
    sandbox: bool = False
    sent: list[Outgoing] = field(default_factory=list)
    sought: list[Outgoing] = field(default_factory=list)

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """The next answer, or acceptance."""
        assert not ctx.db.open
        self.sent.append(outgoing)
        said = self.answers.pop(0) if self.answers else Accepted(f"SID{outgoing.message_id}{len(self.sent)}")
        if isinstance(said, BaseException):
            raise said
        return said

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """What the test says."""
        self.sought.append(outgoing)
        return self.found


def use(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this provider carry everything."""
    monkeypatch.setattr(delivery.channels, "provider", lambda channel: provider)
    monkeypatch.setattr(delivery.channels, "named", lambda name: provider if name == provider.name else None)
