"""What delivery asks of whoever carries messages: Twilio, a mail server, push services, the sandbox.

A provider's calls happen outside any transaction; one that needs the database uses transactions of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_server.core.context import Context
from fhir_server.features.notifications.draft import Draft


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to carry. `message_id`: ours, the same however often it is tried; `attempt`: 1 for the first;
    `callback`: where the provider may say what became of it, "" when it cannot reach us; `since`: when the attempt
    began."""

    message_id: int
    attempt: int
    draft: Draft
    callback: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it, under this name (may be ""). `final`: nothing more will be heard of it."""

    provider_id: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never carry it there. `error`: a short code; `reason`: why, as a code of
    http://terminology.hl7.org/CodeSystem/communication-not-done-reason; `opted_out`: the person said STOP to the
    provider."""

    error: str
    reason: str = "system-error"
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Certainly not sent, for a reason that passes. `seconds`: not before that, where the provider says so; `away`: the
    provider answers nobody."""

    error: str
    seconds: int = 0
    away: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """It may or may not have been sent: nobody answered. `away`: the provider answers nobody."""

    error: str
    away: bool = False


@dataclass(frozen=True, slots=True)
class Unknowable:
    """The provider cannot say whether it had it."""


Outcome = Accepted | Refused | Later | Unclear
# All that the provider has which may be this message; none: it never had it.
Found = list[Accepted] | Unknowable | Unclear


class Provider(Protocol):
    """Carries messages of some channels. `name` stands in the message's row; `sandbox`: nobody gets anything."""

    name: str
    sandbox: bool

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """Hand a message over. Never raises for what the provider or the network does."""

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """Whether the provider has a message of which nobody knows whether it was handed over."""
