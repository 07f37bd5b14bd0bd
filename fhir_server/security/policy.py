"""May this caller do this, and which rows may it see. Every row source asks here."""

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden

_LETTER = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search": "s",
}
_NEEDED = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


def allow(ctx: Context, interaction: str, resource_type: str) -> None:
    """Raise `Forbidden` unless the token's scopes cover the interaction on the type."""
    letter = _LETTER[interaction]
    if not ctx.principal.scopes.allows(resource_type, letter):
        raise Forbidden(
            f"The token's scopes do not allow to {_NEEDED[letter]} {resource_type}"
            f" (needed: system/{resource_type}.{letter})."
        )


def allow_operator(ctx: Context) -> None:
    """Raise `Forbidden` unless the token belongs to an operator of the platform."""
    if not ctx.principal.scopes.operator:
        raise Forbidden("Only an operator's token (scope: operator) may do this.")


def readable_types(ctx: Context, letter: str = "s") -> frozenset[str] | None:
    """The types of which the caller may see rows by search (`s`) or read (`r`); None means all."""
    return ctx.principal.scopes.types(letter)


def narrow(ctx: Context, resource_type: str) -> Sequence[Sequence[int]]:
    """Keys that a visible row must have: all of the groups, any key of each group. System and user scopes of whole
    types need none."""
    return ()
