"""Changes as events, and who may know of them: whoever would find the resource by a search, as it is now.

A deletion is judged by the keys that the deleted resource had. An event says which resource changed, and nothing of
what it says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.resource_json import decode
from fhir_server.events.topics import Topic
from fhir_server.search.extract import extract
from fhir_server.security import policy
from fhir_server.security.consent_filter import denied
from fhir_server.security.consent_node import actors, opened_keys, subject_to_consent
from fhir_server.storage import changes
from fhir_server.storage.changes import Change, Head

_METHODS = {"C": "POST", "U": "PUT", "P": "PATCH", "D": "DELETE"}


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """A change with its resource. `keys`: by which its topics are found: those of now, of the version that was written
    and of the one before."""

    change: Change
    type: str
    head: Head
    keys: frozenset[int]

    def data(self, topics: Iterable[Topic]) -> dict[str, Any]:
        """What a client is told, which is subscribed to these topics."""
        return {
            "type": self.type,
            "id": self.head.id,
            "version": self.change.version,
            "method": _METHODS[self.change.method],
            "topics": [topic.text for topic in topics],
        }

    def about(self, topics: Iterable[Topic]) -> list[Topic]:
        """Those of the topics that the event is about."""
        return [topic for topic in topics if not self.keys.isdisjoint(topic.keys)]


def events_of(ctx: Context, seen: Sequence[Change]) -> list[Event]:
    """Changes as events, in order. Erased resources have none."""
    heads = changes.heads(ctx.db, ctx.tenant.id, seen)
    found = []
    for change in seen:
        head = heads.get(change)
        if head is not None:
            keys = head.keys | {head.self_key}
            for body in head.past:
                keys = keys.union(extract(ctx.registry, decode(body), ctx.base).keys)
            found.append(Event(change, ctx.registry.type_names[change.type_id], head, keys))
    return found


def shown(ctx: Context, events: Sequence[Event]) -> list[Event]:
    """Those of the events that the caller may know of, in order."""
    within = [each for each in events if policy.covers(ctx, each.type, "s", each.head.keys)]
    who = ctx.principal
    if not within or not ctx.tenant.has_consents or not subject_to_consent(who):
        return within
    asked = [(e.change.type_id, tuple(e.head.keys), e.head.ts, e.head.self_key) for e in within]
    hidden = denied(
        ctx.db, ctx.tenant.id, asked, actors=actors(who), purposes=(who.purpose,), opened=opened_keys(who)
    )
    return [event for event, no in zip(within, hidden, strict=True) if not no]
