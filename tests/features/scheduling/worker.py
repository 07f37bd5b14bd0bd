"""The worker's part, done in the test's process: followers of the change feed and what is tended."""

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.events import follow
from fhir_server.features.scheduling import questionnaires, reconcile, waitlist
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage import changes

FOLLOWERS = {"waitlist": waitlist.follow, "reconcile": reconcile.follow, "questionnaires": questionnaires.follow}


def server(slug: str) -> Context:
    """The server's context in a tenant, now."""
    db = session()
    db.rollback()
    return server_context(db, refresh(db, slug))


def settled(ctx: Context) -> None:
    """Wait until every transaction has ended that was open when this began: other tests' hold the feed back."""
    deadline = time.monotonic() + 120
    _, following = changes.end(ctx.db, ctx.tenant.id)
    while changes.end(ctx.db, ctx.tenant.id)[0][0] + 1 < following:
        assert time.monotonic() < deadline, "a transaction of another test does not end"
        time.sleep(0.02)


def catch_up(slug: str) -> None:
    """Let every follower see all there is. The first call only says where they begin."""
    settled(server(slug))
    while follow.run(server(slug), FOLLOWERS):
        pass


def work(slug: str) -> None:
    """What the worker does every few seconds."""
    catch_up(slug)
    waitlist.tend(server(slug))
    catch_up(slug)


def pass_time(minutes: int) -> None:
    """Let the clock of this process run ahead by so much from the real time."""
    clock.move(timedelta(minutes=minutes))


def elsewhere(do: Callable[[], Any]) -> Any:
    """Do something in another thread, with a connection of its own; what it gives."""
    found: list[Any] = []
    thread = Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join(180)
    return found[0]
