"""fhir-server reindex"""

from collections.abc import Callable
from typing import TypeVar

import click

from fhir_server.cli import options
from fhir_server.interactions import reindex as engine
from fhir_server.interactions.worlds import World, refresh
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import reindex as stored
from fhir_server.storage.errors import DefinitionsChanged, SerializationFailure
from fhir_server.supervisor.instance import database

T = TypeVar("T")


def in_tenant(slug: str, work: Callable[[World], T]) -> T:
    """Do a piece of work under the tenant's definitions of this moment, again when they change meanwhile."""
    while True:
        db = session()
        place = refresh(db, slug)
        db.enter(place.tenant.id, None, place.version)
        try:
            return work(place)
        except (DefinitionsChanged, SerializationFailure):
            db.rollback()


@click.command()
@options.tenant
@options.as_json
@options.data
def reindex(slug: str, as_json: bool) -> None:
    """Compute the index of every resource anew and repair what differs; requests go on meanwhile."""
    with database():
        done, repaired = _repair(slug)
        strays = _sweep(slug)
    result = {"resources": done, "repaired": repaired, "rows_of_nothing": strays}
    options.show(result, as_json, f"{done} resources, {repaired} repaired, {strays} rows of nothing removed")


def _repair(slug: str) -> tuple[int, int]:
    done = repaired = 0
    after: int | None = 0
    base = settings.fhir_base(slug)
    while after is not None:

        def step(place: World, start: int = after) -> engine.Progress:
            return engine.reindex(session(), place.tenant, place.registry, base=base, after=start)

        progress = in_tenant(slug, step)
        done, repaired, after = done + progress.done, repaired + progress.repaired, progress.after
    return done, repaired


def _sweep(slug: str) -> int:
    strays = 0
    following: stored.Place | None = stored.FIRST
    while following is not None:

        def step(place: World, start: stored.Place = following) -> tuple[int, stored.Place | None]:
            return engine.sweep(session(), place.tenant.id, start)

        count, following = in_tenant(slug, step)
        strays += count
    return strays
