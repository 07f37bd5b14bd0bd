"""What a canonical points to, by type and by profile, where it is known here.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile
"""

from typing import TYPE_CHECKING, Any

from fhir_server.conformance.canonicals import CANONICAL_TYPES
from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

if TYPE_CHECKING:
    from fhir_server.validation.profiles.plans import Plan


def canonical_check(profiles: tuple[str, ...], name: str, rule: str, owner: str) -> Check:
    """The check that a canonical is of a resource that conforms to one of these profiles. What is not known here is
    not looked at: canonicals may be of what others keep."""
    shown = ", ".join(profile.rpartition("/")[2] for profile in profiles)

    def check(node: Node, path: Path, trial: Trial) -> None:
        plans = [trial.plans.target(trial.scope, profile) for profile in profiles]
        known = [plan for plan in plans if plan is not None]
        if node[1] is None or len(known) < len(plans):
            return
        allowed, target = _target(node[1], known, trial)
        if target is None:
            return
        if not allowed:
            type_ = target["resourceType"]
            trial.fail(path, "value", f"'{name}' must be the canonical of {shown} in {owner}, not of {type_}.", rule)
        elif trial.misfit(target, allowed, path, contained=node[1].startswith("#")) is not None:
            trial.fail(path, "value", f"What '{name}' names does not conform to {shown}, as {owner} demands.", rule)

    return check


def _target(canonical: str, plans: "list[Plan]", trial: Trial) -> "tuple[list[Plan], dict[str, Any] | None]":
    """(the profiles that are about its type, the resource that the canonical names), the wanted types first."""
    if canonical.startswith("#"):
        found = trial.resolved(canonical)
        return [] if found is None else _about(plans, found, trial), found
    wanted = [type_ for type_ in CANONICAL_TYPES if any(trial.plans.is_a(type_, plan.type) for plan in plans)]
    for type_ in (*wanted, *(each for each in CANONICAL_TYPES if each not in wanted)):
        found = trial.scope.definitions.find(type_, canonical)
        if found is not None:
            return _about(plans, found, trial), found
    return [], None


def _about(plans: "list[Plan]", target: dict[str, Any], trial: Trial) -> "list[Plan]":
    return [plan for plan in plans if trial.plans.is_a(target["resourceType"], plan.type)]
