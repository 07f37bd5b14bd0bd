"""The server's own part of the work: what an operation writes on a caller's behalf, and what jobs do by themselves.

An operation first asks whether the caller may have done what he asked for; what must follow from it, such as the Slots
of a booking, the server writes. The audit log names the caller.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_server.core.context import Context, Principal
from fhir_server.core.errors import Forbidden
from fhir_server.interactions.worlds import World
from fhir_server.search.extract import extract
from fhir_server.security import policy
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.storage.session import Session

SERVER = Principal("fhir-server", parse_scopes("system/*.cruds"), None, purpose="HOPERAT")


def as_server(ctx: Context) -> Context:
    """The same transaction with every right in the tenant. The caller remains the one whom the audit log names."""
    if ctx.acting:
        return ctx
    return replace(ctx, principal=replace(SERVER, acts_for=ctx.principal), acting=True)


def server_context(db: Session, place: World) -> Context:
    """The context of a job in a tenant, which `db` enters."""
    db.enter(place.tenant.id, None, place.version)
    return Context(
        tenant=place.tenant,
        principal=SERVER,
        registry=place.registry,
        db=db,
        base=settings.fhir_base(place.tenant.slug),
        cursor_key=settings.secret_key(),
        acting=True,
    )


def may_write(ctx: Context, resource: Mapping[str, Any], letter: str) -> None:
    """Raise `Forbidden` unless the caller himself might create (`c`), update (`u`) or delete (`d`) this very resource:
    by scopes, role and labels, and in his own patients' records only."""
    resource_type = resource["resourceType"]
    policy.allow(ctx, {"c": "create", "u": "update", "d": "delete"}[letter], resource_type)
    named = {**resource, "id": resource.get("id", "new")}
    policy.check_result(ctx, resource, letter, extract(ctx.registry, named, ctx.base).keys)


def may_see(ctx: Context, resource: Mapping[str, Any]) -> bool:
    """Whether the caller's scopes, role and labels let him read this resource (consents are asked in statements)."""
    resource_type = resource["resourceType"]
    keys = extract(ctx.registry, dict(resource), ctx.base).keys
    return bool(policy.access(ctx).rule(resource_type, "r")) and policy.covers(ctx, resource_type, "r", keys)


def is_staff(ctx: Context, resource_type: str = "Appointment") -> bool:
    """Whether the caller's right to change a type is not limited to some patients' records."""
    return policy.whole(ctx, resource_type, "u")


def check_staff(ctx: Context, resource_type: str, what: str) -> None:
    """Raise `Forbidden` unless the caller may change every resource of a type. `what` ends "Only staff may …"."""
    if not is_staff(ctx, resource_type):
        raise Forbidden(f"Only staff may {what}: it needs the right to update every {resource_type}.")
