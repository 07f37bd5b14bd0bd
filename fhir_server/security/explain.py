"""Why somebody would see a resource or not: the same rules as for a request, asked one by one."""

from dataclasses import dataclass

from fhir_server.core.context import Context, Principal, User
from fhir_server.core.errors import Forbidden, Invalid, NotFound
from fhir_server.security import policy
from fhir_server.security.access import Access, holds, withheld
from fhir_server.security.consent_node import actors, role_may
from fhir_server.security.roles import roles
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage.consent_rules import denying
from fhir_server.storage.writer import Writer


@dataclass(frozen=True, slots=True)
class Asked:
    """About whom it is asked: a role, what the account is linked to, an app, and a purpose (None: the role's usual)."""

    role: str
    actor: str | None = None
    client: str = ""
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """What of it allows to see the resource: the rights of the role, its labels; `consents`: ids of those that deny."""

    by_role: bool
    by_labels: bool
    consents: tuple[str, ...]

    @property
    def permitted(self) -> bool:
        """Whether it is seen."""
        return self.by_role and self.by_labels and not self.consents


def explain(ctx: Context, resource_type: str, resource_id: str, asked: Asked) -> Explained:
    """What decides whether such a user sees the resource.

    Raises `Forbidden` without the right review, `NotFound` for what the caller could not see but for consents.
    """
    if not role_may(ctx.principal, "review"):
        raise Forbidden("Only users whose role has the right review may do this.")
    policy.allow(ctx, "read", resource_type)
    known = roles().get(asked.role)
    if known is None or known.personal:
        names = ", ".join(name for name, each in roles().items() if not each.personal)
        raise Invalid(f"role takes one of {names}.", expression="http.role", code="value")
    who = Principal(asked.client, parse_scopes("user/*.cruds"), b"", user=User("", asked.role, asked.actor))
    own = policy.access(ctx).filters_of((resource_type,), "r")

    def seen(w: Writer, row: str) -> str:
        return " AND ".join([node.where(w, row) for node in own])

    name = (resource_type, resource_id, ctx.registry.type_ids[resource_type])
    purposes = (asked.purpose or known.purposes[0],)
    found = denying(ctx.db, ctx.tenant.id, name, seen if own else None, actors(who), purposes)
    if found is None:
        raise NotFound(f"{resource_type}/{resource_id} is not known here.")
    keys, consents = frozenset(found[0]), tuple(found[1])
    return Explained(
        by_role=bool(Access(ctx.registry, who).rule(resource_type, "r")),
        by_labels=all(holds(node, keys) for node in withheld(who, known)),
        consents=consents,
    )
