"""A tenant with its definitions, as one process knows them.

Remembered by registry version; `app_enter` refuses a transaction whose version is not the tenant's present one, and the
caller then asks `refresh`. So what is remembered here cannot be stale.
"""

from dataclasses import dataclass

from fhir_server.conformance.registry import Registry, base_registry, tenant_registry
from fhir_server.core.context import Tenant
from fhir_server.core.errors import Unavailable
from fhir_server.core.resource_json import decode
from fhir_server.storage import definitions, tenants
from fhir_server.storage.errors import DefinitionsChanged
from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class World:
    """A tenant, the registry of its definitions, and the tenant's registry version that this picture was taken at."""

    tenant: Tenant
    registry: Registry
    version: int


_worlds: dict[str, World] = {}


def world(db: Session, slug: str) -> World:
    """The tenant's world. Raises `NotFound` for a tenant that is not there or suspended."""
    known = _worlds.get(slug)
    return known if known is not None else refresh(db, slug)


def refresh(db: Session, slug: str) -> World:
    """Load the tenant and its definitions as they are now. Raises `Unavailable` when they change faster than that."""
    _worlds.pop(slug, None)
    for _ in range(5):
        state = tenants.find(db, slug)
        db.enter(state.tenant.id, None, state.registry_version)
        try:
            held = definitions.all_definitions(db, state.tenant.id)
            bodies, pending = tenants.definitions(db, state.tenant.id)
        except DefinitionsChanged:
            continue
        active = [resource for resource in map(decode, bodies) if resource.get("status") == "active"]
        # Tenants without definitions of their own share one registry, and with it everything compiled from it.
        changed = active or held
        own = (
            tenant_registry(state.registry_version, active, frozenset(pending), held) if changed else base_registry()
        )
        _worlds[slug] = World(state.tenant, own, state.registry_version)
        return _worlds[slug]
    raise Unavailable("The definitions of this tenant change too fast. Try again.", headers={"Retry-After": "1"})
