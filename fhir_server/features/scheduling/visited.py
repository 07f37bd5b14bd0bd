"""Reading from the store just what one visit is about, in one or two round trips."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.keys import self_key
from fhir_server.core.resource_json import decode
from fhir_server.features.scheduling.offers import Catalogue, Resource, load_needed
from fhir_server.interactions.acting import as_server
from fhir_server.storage import agendas

Found = dict[str, tuple[int, Resource]]


def load_visited(
    ctx: Context, service: str | None, schedules: Sequence[str] = (), actors: Sequence[str] = ()
) -> Catalogue:
    """The service (`HealthcareService/id`), these Schedules and those of these actors (`Type/id`), as far as they are
    active, with the roles and places that belong to them."""
    names = [*schedules, *([service] if service else [])]
    roles_named = [name for name in actors if name.startswith("PractitionerRole/")]
    with ctx.db.hold():
        named, of_actors, roles = agendas.around(
            ctx.db, ctx.tenant.id, [_key(name) for name in (*names, *roles_named)], [_key(name) for name in actors]
        )
    given = _active(named)
    agendas_found = {name: entry for name, entry in given.items() if name in schedules} | _active(of_actors)
    services = {name: entry for name, entry in given.items() if name == service}
    all_roles = _active(roles) | {name: entry for name, entry in given.items() if name in roles_named}
    catalogue = Catalogue(ctx, services, agendas_found, [role for _, role in all_roles.values()])
    load_needed(as_server(ctx), catalogue)
    return catalogue


def _active(rows: Sequence[tuple[int, bytes]]) -> Found:
    found: Found = {}
    for rid, body in rows:
        resource: Resource = decode(body)
        if resource.get("active", True):
            found[f"{resource['resourceType']}/{resource['id']}"] = (rid, resource)
    return found


def _key(name: str) -> int:
    return self_key(*name.split("/"))
