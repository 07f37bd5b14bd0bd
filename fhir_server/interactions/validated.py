"""What every write goes through before it is stored: R4 itself, the profiles that a resource claims, those that the
tenant demands; and what becomes of what is wrong (docs/howto/validation.md).

https://hl7.org/fhir/R4/validation.html
"""

from typing import Any

from fhir_server.conformance.canonicals import Canonicals
from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, Unprocessable
from fhir_server.interactions.judging import AGAINST_OTHERS, ERRORS, distinct, has_extensions, judged, softened
from fhir_server.validation import tagging
from fhir_server.validation.modes import ADVISE, DECIDING, REJECT, TAG, Policy, policy_of, storable
from fhir_server.validation.run import faults


def accept(ctx: Context, resource: dict[str, Any], *, expected_type: str | None = None) -> None:
    """Let a resource be stored, or raise `Unprocessable` with every issue (`Invalid` for what is no resource of the
    expected type).

    In the mode `tag`, what can be kept is kept, with a tag and the issues in its `meta`; those that a client sends back
    are replaced. What the mode `advise` finds goes to `ctx.notes`, where somebody asks for it.
    """
    if ctx.notes:
        ctx.notes.clear()
    found = faults(ctx.registry, resource, expected_type=expected_type)
    if "validation" not in ctx.tenant.settings and not found and _is_plain(resource, ctx.registry.canonicals):
        return
    refused, kept = _divided(found, resource["resourceType"], policy_of(ctx.tenant.settings, resource["resourceType"]))
    if not refused:
        for verdict in judged(ctx, resource, (REJECT, TAG)):
            side = kept if verdict.mode == TAG else refused
            side.extend(issue for issue in verdict.issues if issue.severity in ERRORS)
    if refused:
        raise Unprocessable(issues=distinct([*refused, *kept]))
    tagging.remove(resource)
    if kept:
        tagging.add(resource, distinct(kept))
    if ctx.notes is not None:
        ctx.notes[:] = _notes(ctx, resource)


def _is_plain(resource: dict[str, Any], canonicals: Canonicals) -> bool:
    """Whether a resource claims nothing and names nothing that it would be checked against."""
    if "meta" in resource:
        meta = resource["meta"]
        if "profile" in meta or "tag" in meta or "extension" in meta:
            return False
    # The entries of a Bundle may claim what the Bundle does not.
    return not (resource["resourceType"] in AGAINST_OTHERS or "entry" in resource or has_extensions(canonicals))


def _divided(found: list[Issue], resource_type: str, policy: Policy) -> tuple[list[Issue], list[Issue]]:
    """What is wrong by R4 itself: (what refuses the resource, what is only noted on it)."""
    keeps = policy.mode == TAG and resource_type not in DECIDING and all(map(storable, found))
    return ([], found) if keeps else (found, [])


def _notes(ctx: Context, resource: dict[str, Any]) -> list[Issue]:
    """What there is to say of a resource that is let in, errors as warnings."""
    found = list(tagging.issues(resource))
    for verdict in judged(ctx, resource, (REJECT, TAG, ADVISE)):
        found += [issue for issue in verdict.issues if verdict.mode == ADVISE or issue.severity not in ERRORS]
    return distinct(softened(found))
