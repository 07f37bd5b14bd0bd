"""Who may change what a tenant's data is checked by: packages, rules of validation, code systems."""

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden
from fhir_server.security import policy
from fhir_server.security.consent_node import role_may

# The right is the role's; the token must reach as far, so that an app that was let read a diary installs nothing.
_TYPES = ("Organization", "SearchParameter")


def may_change(ctx: Context) -> bool:
    """Whether the caller may: the operator, or a user whose role has the right `definitions` with a token that changes
    the clinic's own definitions."""
    who = ctx.principal
    if who.user is None:
        return who.scopes.operator
    return role_may(who, "definitions") and any(policy.whole(ctx, name, "u") for name in _TYPES)


def check_may_change(ctx: Context, what: str) -> None:
    """Raise `Forbidden` unless the caller may. `what` ends "… may …": `install packages`."""
    if not may_change(ctx):
        raise Forbidden(
            f"Only the operator, and users whose role has the right definitions, may {what}, with a token for"
            f" user/{_TYPES[0]}.u."
        )
