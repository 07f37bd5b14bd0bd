"""Places in the change feed as text, how old they may be, and the contents of changes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.resource_json import decode
from fhir_server.storage import changes, clock
from fhir_server.storage.changes import Change, Position
from fhir_server.storage.session import Session

__all__ = ["Change", "Content", "Position", "as_text", "contents", "in_version_order", "parse", "replayable", "settled"]

# For so long a client can come back and be given everything it missed.
KEPT = timedelta(hours=24)
_TEXT = re.compile(r"([0-9]{1,19})-([0-9]{1,19})\Z")
_AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Content:
    """What a change made of a resource. `type` and `id` name it; `before` and `after` are the resource, None where it
    did not exist or was deleted."""

    type: str
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def contents(ctx: Context, seen: Sequence[Change]) -> dict[Change, Content]:
    """Of changes, the resource as it was before and after, in one statement. Of erased resources there is none."""
    names = ctx.registry.type_names
    return {
        change: Content(
            names[change.type_id],
            body.id,
            decode(body.before) if body.before else None,
            decode(body.after) if body.after else None,
        )
        for change, body in changes.bodies(ctx.db, ctx.tenant.id, seen).items()
    }


def in_version_order(seen: Sequence[Change]) -> list[Change]:
    """The same changes in the same order, but the versions of each resource among themselves in theirs: a transaction
    that waited for a lock can stand before the one that it waited for."""
    versions: dict[int, list[Change]] = {}
    for change in seen:
        versions.setdefault(change.rid, []).append(change)
    for several in versions.values():
        several.sort(key=lambda change: -change.version)
    return [versions[change.rid].pop() for change in seen]


def settled(seen: Sequence[Change], end: Position, limit: int) -> Position | None:
    """The last place up to which `changes.visible`, asked for `limit` changes, showed all that there will ever be."""
    if len(seen) < limit:
        return end
    return max((change.position for change in seen if change.position <= end), default=None)


def as_text(position: Position) -> str:
    """A place in the feed as the id of an event."""
    return f"{position[0]}-{position[1]}"


def parse(text: str) -> Position | None:
    """The place that an id of an event names; None when it is no such id."""
    found = _TEXT.match(text)
    if found is None:
        return None
    position = int(found[1]), int(found[2])
    return position if max(position) < 2**63 else None


def replayable(db: Session, tenant_id: int, position: Position) -> bool:
    """Whether what follows a place can be told in full: it is of the last 24 hours and of this database."""
    (_, now), following = changes.end(db, tenant_id)
    age = clock.micros(now) - clock.micros(position[1])
    return position[0] < following and -_AHEAD <= timedelta(microseconds=age) <= KEPT
