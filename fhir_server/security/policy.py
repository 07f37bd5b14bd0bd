"""May this caller do this, and which rows may it see. Every row source asks here.

`allow` says whether an interaction is possible on a type at all (403). Which rows it may touch is a condition in the
SQL of every statement, before its LIMIT: a row that the caller may not see is as missing as one that never was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, MethodNotAllowed
from fhir_server.search.tree import Node
from fhir_server.search.values.reference import local_target
from fhir_server.security.access import Access
from fhir_server.security.consent_node import Consented, subject_to_consent
from fhir_server.storage.writer import Rule, Writer

LETTER = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search": "s",
}
# Elements that say whom a resource is about.
_ABOUT = ("subject", "patient", "beneficiary", "target")
_NEEDED = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


def access(ctx: Context) -> Access:
    """The caller's compiled rights, remembered with the principal."""
    who, consents = ctx.principal, _by_consent(ctx)
    if who.opened:
        # What break-glass opened closes by itself.
        return Access(ctx.registry, who, by_consent=consents)
    found: Access | None = who.memo.get((ctx.registry, consents))
    if found is None:
        found = who.memo[ctx.registry, consents] = Access(ctx.registry, who, by_consent=consents)
    return found


def allow(ctx: Context, interaction: str, resource_type: str) -> None:
    """Raise `Forbidden` unless the caller has the interaction on the type, for some of its resources at least."""
    letter = LETTER[interaction]
    if resource_type == "AuditEvent" and letter in "cud":
        raise MethodNotAllowed("The audit log is written by the server alone.", headers={"Allow": "GET"})
    if not access(ctx).rule(resource_type, letter):
        context = "patient" if ctx.principal.patient else "user" if ctx.principal.user else "system"
        raise Forbidden(
            f"The token's scopes do not allow to {_NEEDED[letter]} {resource_type}"
            f" (needed: {context}/{resource_type}.{letter})."
        )


def allow_operator(ctx: Context) -> None:
    """Raise `Forbidden` unless the token belongs to an operator of the platform."""
    if not ctx.principal.scopes.operator:
        raise Forbidden("Only an operator's token (scope: operator) may do this.")


def readable_types(ctx: Context, letter: str = "s") -> frozenset[str] | None:
    """The types of which the caller may see rows by search (`s`) or read (`r`); None means all."""
    return access(ctx).readable(letter)


def limits(ctx: Context, resource_type: str, letter: str = "s") -> list[Node]:
    """The conditions under which rows of a type may be seen, all of which must hold."""
    return [*access(ctx).limits(resource_type, letter), *_consent(ctx, letter)]


def limits_of(ctx: Context, types: Sequence[str], letter: str = "s") -> list[Node]:
    """The same for rows of several types, in a form with which a search can begin."""
    if len(types) == 1:
        return limits(ctx, types[0], letter)
    return [*access(ctx).limits_of(types, letter), *_consent(ctx, letter)]


def rule(ctx: Context, types: Sequence[str], letter: str) -> Rule | None:
    """The condition on a row of any of these types that is in hand; None when every row may be seen."""
    nodes = [*access(ctx).filters_of(types, letter), *_consent(ctx, letter)]
    if not nodes:
        return None

    def where(w: Writer, row: str) -> str:
        return "(" + " AND ".join([node.where(w, row) for node in nodes]) + ")"

    return where


def chooses_ids(ctx: Context, resource_type: str) -> bool:
    """Whether the caller may make a resource under an id of his choice."""
    return access(ctx).chooses_ids(resource_type)


def record_keys(ctx: Context, types: Sequence[str], letter: str) -> list[int] | None:
    """Index keys under which all is found that a caller sees who is limited to some patients' records; else None."""
    return access(ctx).record_keys(types, letter)


def whole(ctx: Context, resource_type: str, letter: str) -> bool:
    """Whether the caller's scopes and role give the right for every patient and every content."""
    return access(ctx).whole(resource_type, letter)


def covers(ctx: Context, resource_type: str, letter: str, keys: Iterable[int]) -> bool:
    """Whether a version that has these keys lies within the caller's scopes, role and labels (not: consents)."""
    return access(ctx).covers(resource_type, letter, keys)


def check_result(ctx: Context, resource: Mapping[str, Any], letter: str, keys: Iterable[int]) -> None:
    """Raise `Forbidden` when what is about to be stored would lie outside of what the caller may write.

    Who may write for some patients only may not make one of them a mere performer in the record of another: the patient
    whom a resource is about must be one of his.
    """
    resource_type = resource["resourceType"]
    mine = access(ctx).patients(resource_type, letter)
    about = () if mine is None else _about(ctx, resource)
    if not covers(ctx, resource_type, letter, keys) or not all(patient in (mine or ()) for patient in about):
        raise Forbidden(
            f"This {resource_type} would lie outside of what the token covers: another patient's record, or content"
            " that its scopes do not name.",
            expression=resource_type,
        )


def _about(ctx: Context, resource: Mapping[str, Any]) -> Iterator[str]:
    """Ids of the patients whom a resource says it is about."""
    for name in _ABOUT:
        value = resource.get(name, ())
        for reference in value if isinstance(value, (list, tuple)) else (value,):
            _, kind, id_ = local_target(reference.get("reference", ""), ctx.base)
            if kind == "Patient" and id_ is not None:
                yield id_


def visible_text(ctx: Context, letter: str) -> str:
    """What the caller may see, as a text that page links are bound to."""
    who = ctx.principal
    user = f"{who.user.id}/{who.user.role}" if who.user else ""
    return f"{who.client_id}|{user}|{who.patient or ''}|{who.scopes.text}|{letter}"


def _consent(ctx: Context, letter: str) -> list[Node]:
    if not _by_consent(ctx):
        return []
    # Break-glass opens a record for reading only.
    return [Consented(ctx.principal if letter in "rs" else replace(ctx.principal, opened=()))]


def _by_consent(ctx: Context) -> bool:
    return ctx.tenant.has_consents and subject_to_consent(ctx.principal)
