"""What a profile says of references: to what, how, and whether to a version.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.core.references import parse_literal
from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.canonical_targets import canonical_check
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

CORE = "http://hl7.org/fhir/StructureDefinition/"


def core_type(canonical: str) -> str | None:
    """`Patient` of `http://hl7.org/fhir/StructureDefinition/Patient`; None for other canonicals."""
    return canonical.removeprefix(CORE).partition("|")[0] if canonical.startswith(CORE) else None


def reference_checks(
    entry: Mapping[str, Any], base_targets: Sequence[str], name: str, rule: str, owner: str
) -> list[Check]:
    """The checks of one `type` of an element. `base_targets`: types that R4 allows, () = any."""
    profiles = tuple(entry.get("targetProfile", ()))
    if entry.get("code") == "canonical" and profiles:
        return [canonical_check(profiles, name, rule, owner)]
    if entry.get("code") != "Reference":
        return []
    made: list[Check] = []
    named = {core_type(profile) for profile in profiles}
    if profiles and (None in named or not named >= set(base_targets or ("Resource",))):
        made.append(_target_check(profiles, name, rule, owner))
    if entry.get("aggregation"):
        made.append(_aggregation_check(frozenset(entry["aggregation"]), name, rule, owner))
    if entry.get("versioning", "either") != "either":
        made.append(_versioning_check(entry["versioning"], name, rule, owner))
    return made


def _target_check(profiles: tuple[str, ...], name: str, rule: str, owner: str) -> Check:
    shown = ", ".join(profile.rpartition("/")[2] for profile in profiles)

    def check(node: Node, path: Path, trial: Trial) -> None:
        text = node[1].get("reference")
        target = trial.target(text) if text else None
        type_ = target["resourceType"] if target else _stated_type(node[1])
        if type_ is None:
            return
        plans = [trial.plans.target(trial.scope, profile) for profile in profiles]
        if any(plan is None for plan in plans):
            missing = next(profile for profile, plan in zip(profiles, plans, strict=True) if plan is None)
            note = f"The profile {missing} of what '{name}' points to is not known here, so it was not checked."
            trial.fail(path, "not-found", note, rule, "warning")
            return
        allowed = [plan for plan in plans if plan is not None and trial.plans.is_a(type_, plan.type)]
        if not allowed:
            trial.fail(path, "value", f"'{name}' must refer to {shown} in {owner}, and not to {type_}.", rule)
            return
        misfit = None if target is None else trial.misfit(target, allowed, path, contained=text.startswith("#"))
        if misfit is not None:
            names = ", ".join(plan.name for plan in allowed)
            said = f"What '{name}' refers to does not conform to {names}, as {owner} demands: {misfit.text}"
            # What is stored elsewhere is no fault of this resource, and no write is refused for it.
            severity = "error" if text.startswith("#") or trial.bundled(text) is not None else "warning"
            trial.fail(path, "value", said, rule, severity)

    return check


def _stated_type(value: Mapping[str, Any]) -> str | None:
    literal = parse_literal(value.get("reference", ""))
    if literal is not None:
        return literal.type
    named = value.get("type")
    return named if isinstance(named, str) and ":" not in named else None


def _aggregation_check(modes: frozenset[str], name: str, rule: str, owner: str) -> Check:
    def check(node: Node, path: Path, trial: Trial) -> None:
        text = node[1].get("reference")
        if not text:
            return
        contained = text.startswith("#")
        in_bundle = trial.bundle is not None or trial.resource[0] == "Bundle"
        if contained and "contained" not in modes:
            problem = "cannot be to a contained resource"
        elif not contained and modes == {"contained"}:
            problem = "must be to a contained resource"
        elif not contained and "referenced" not in modes and in_bundle and trial.bundled(text) is None:
            problem = "must be to a resource of the same Bundle"
        else:
            return
        trial.fail(path, "value", f"The reference of '{name}' {problem} in {owner}.", rule)

    return check


def _versioning_check(versioning: str, name: str, rule: str, owner: str) -> Check:
    specific = versioning == "specific"
    text = f"The reference of '{name}' must {'name' if specific else 'not name'} a version in {owner}."

    def check(node: Node, path: Path, trial: Trial) -> None:
        reference = node[1].get("reference")
        if reference and not reference.startswith("#") and ("/_history/" in reference) is not specific:
            trial.fail(path, "value", text, rule)

    return check
