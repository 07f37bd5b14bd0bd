"""The followers of the change feed: each sees every change once, in feed order, and its work is committed together with
how far it has come.

A follower that fails holds up only itself: it is given the same changes again after a pause, then one by one; what it
fails on alone is set aside in `feed_parked`, tried again more and more rarely for three days, and stays there.
"""

import logging
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.events import wake
from fhir_server.events.feed import in_version_order
from fhir_server.storage import changes, feed_positions
from fhir_server.storage.changes import Change
from fhir_server.storage.errors import ConnectionLost, DefinitionsChanged, SerializationFailure, UniqueViolation

Follower = Callable[[Context, Sequence[Change]], None]

BATCH = 200
_SKIPPED = 5_000
_log = logging.getLogger(__name__)
_COLLISIONS = (SerializationFailure, UniqueViolation)
_ATTEMPTS = 5
_TOGETHER = 3
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
_FIRST_REST, _LONGEST_REST, _MOST_RESTS = timedelta(minutes=1), timedelta(hours=12), 15


def run(
    ctx: Context,
    followers: Mapping[str, Follower],
    *,
    types: Mapping[str, Collection[str]] = MappingProxyType({}),
    batches: int = 20,
) -> bool:
    """Give each follower, by its lasting name, the changes since its last call; whether there is more to give.

    `types`: of which types a follower wants to be told; runs of others are passed over without waking it. `ctx`: the
    server's own, entered. A follower that another process is calling, or that pauses, is left out. A new name begins at
    the end of the feed. Raises `ConnectionLost` and `DefinitionsChanged`, with nothing half done.
    """
    reading, resting = feed_positions.due(ctx.db, ctx.tenant.id, list(followers), clock.now())
    wanted = {name: [ctx.registry.type_ids[each] for each in types[name]] for name in reading if name in types}
    if wanted:
        feed_positions.skip(ctx.db, ctx.tenant.id, wanted, _SKIPPED)
        reading, _ = feed_positions.due(ctx.db, ctx.tenant.id, reading, clock.now())
    more = False
    for name in reading:
        more = _catch_up(ctx, name, followers[name], batches) or more
    for name in resting:
        _try_parked(ctx, name, followers[name])
    return more


def _catch_up(ctx: Context, name: str, follower: Follower, batches: int) -> bool:
    """Batches of a follower, until it has come to the end, fails, or had its share; whether there is more."""
    return all(_batch(ctx, name, follower) for _ in range(batches))


def _batch(ctx: Context, name: str, follower: Follower) -> bool:
    """One batch in one transaction; whether there may be another one to do now."""
    db, tenant_id = ctx.db, ctx.tenant.id
    for attempt in range(1, _ATTEMPTS + 1):
        taken, seen, alone = None, [], False
        try:
            with db.hold():
                taken = feed_positions.take(db, tenant_id, name)
                if taken is not None:
                    alone = taken.position < taken.alone
                    seen = changes.read(db, tenant_id, taken.position, 1 if alone else BATCH)
                if taken is not None and seen:
                    follower(ctx, in_version_order(seen))
                    feed_positions.save(db, tenant_id, name, seen[-1].position)
            db.commit()
            if seen:
                # What the follower wrote is news to others, and to itself.
                wake.changed(tenant_id)
            return alone or len(seen) == BATCH
        except (ConnectionLost, DefinitionsChanged):
            db.rollback()
            raise
        except Exception as error:
            db.rollback()
            if isinstance(error, _COLLISIONS) and attempt < _ATTEMPTS:
                continue
            _tell(name, len(seen), error)
            return taken is not None and _set_back(ctx, name, seen, taken, error)
    return False


def _set_back(
    ctx: Context, name: str, seen: Sequence[Change], taken: feed_positions.Taken, error: Exception
) -> bool:
    """Keep in mind that a follower failed on these changes; whether it can go on now."""
    db, tenant_id = ctx.db, ctx.tenant.id
    if seen and taken.position < taken.alone:
        with db.hold():
            again = feed_positions.take(db, tenant_id, name)
            if again == taken:
                feed_positions.park(db, tenant_id, name, seen[0], type(error).__name__, clock.now() + _FIRST_REST)
                feed_positions.save(db, tenant_id, name, seen[0].position)
        db.commit()
        return True
    failures = taken.failures + 1
    alone = seen[-1].position if seen and failures >= _TOGETHER else (0, 0)
    feed_positions.failed(db, tenant_id, name, clock.now() + _pause(failures, _FIRST_PAUSE, _LONGEST_PAUSE), alone)
    return False


def _try_parked(ctx: Context, name: str, follower: Follower) -> None:
    """Give a follower one change again that it failed on alone."""
    db, tenant_id = ctx.db, ctx.tenant.id
    found = None
    try:
        with db.hold():
            if feed_positions.take(db, tenant_id, name) is not None:
                found = feed_positions.parked(db, tenant_id, name, clock.now())
            if found is not None:
                follower(ctx, [found[0]])
                feed_positions.unpark(db, tenant_id, name, found[0])
        db.commit()
    except (ConnectionLost, DefinitionsChanged):
        db.rollback()
        raise
    except Exception as error:
        db.rollback()
        _tell(name, 1, error)
        if found is not None:
            change, attempts = found
            rest = clock.now() + _pause(attempts + 1, _FIRST_REST, _LONGEST_REST)
            kind, until = type(error).__name__, rest if attempts < _MOST_RESTS else None
            feed_positions.park(db, tenant_id, name, change, kind, until)
            db.commit()


def _pause(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    return min(first * (1 << min(failures - 1, 20)), longest)


def _tell(name: str, count: int, error: Exception) -> None:
    """Where it failed, but not what the exception says: that may quote what is nobody else's business."""
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    _log.error("the follower %s failed on %d changes: %s\n%s", name, count, type(error).__name__, where)
