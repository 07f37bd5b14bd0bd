"""What a tenant wants done with data that breaks rules: modes by type, and the profiles that it demands.

The policy is the tenant's setting `validation` (docs/howto/validation.md):
`{"default": {"mode": "reject"}, "types": {"Observation": {"mode": "tag", "profiles": ["http://…"]}}}`
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.validation.issues import gap
from fhir_server.validation.references import REFERENCE_RULES

REJECT, TAG, ADVISE, OFF = "reject", "tag", "advise", "off"
MODES = (REJECT, TAG, ADVISE, OFF)
_MOST_PROFILES = 20


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for one type. `mode`: for every profile, or None: a claimed profile that the tenant has stored or
    installed rejects, R4's and this server's own advise. `unknown`: for claims of profiles that are not here.
    `profiles`: demanded whether claimed or not."""

    mode: str | None = None
    unknown: str = ADVISE
    profiles: tuple[str, ...] = ()


_USUAL = Policy()


def policy_of(settings: Mapping[str, Any], resource_type: str) -> Policy:
    """The policy for a type: what the type says, else what the default says."""
    chosen = settings.get("validation")
    if not chosen:
        return _USUAL
    said = {**chosen.get("default", {}), **chosen.get("types", {}).get(resource_type, {})}
    return Policy(said.get("mode"), said.get("unknown", ADVISE), tuple(said.get("profiles", ())))


def check(policy: Any, resource_types: Collection[str]) -> list[Issue]:
    """What is wrong with the form of a policy; [] when it can be used."""
    if not isinstance(policy, dict):
        return [Issue("error", "structure", "A policy is a JSON object with default and types.", "policy")]
    found = [
        Issue("error", "structure", f"A policy has default and types, not {name!r}.", f"policy.{name}")
        for name in policy
        if name not in ("default", "types")
    ]
    found += _check_part(policy.get("default", {}), "policy.default", ("mode", "unknown"))
    types = policy.get("types", {})
    if not isinstance(types, dict):
        return [*found, Issue("error", "structure", "types is an object, by resource type.", "policy.types")]
    for name, part in types.items():
        if name not in resource_types:
            text = f"There is no resource type {name!r} in FHIR R4."
            found.append(Issue("error", "value", text, f"policy.types.{name}"))
        found += _check_part(part, f"policy.types.{name}", ("mode", "unknown", "profiles"))
    return found


def _check_part(part: Any, path: str, names: Collection[str]) -> list[Issue]:
    if not isinstance(part, dict):
        return [Issue("error", "structure", f"This is an object with {', '.join(names)}.", path)]
    found = [
        Issue("error", "structure", f"There are {', '.join(names)} here, not {name!r}.", f"{path}.{name}")
        for name in part
        if name not in names
    ]
    for name in ("mode", "unknown"):
        if name in part and part[name] not in MODES:
            found.append(Issue("error", "value", f"{name} takes one of {', '.join(MODES)}.", f"{path}.{name}"))
    profiles = part.get("profiles", [])
    if not isinstance(profiles, list) or not all(isinstance(each, str) and each for each in profiles):
        found.append(Issue("error", "structure", "profiles is a list of canonical urls.", f"{path}.profiles"))
    elif len(profiles) > _MOST_PROFILES:
        text = f"A type is checked against at most {_MOST_PROFILES} profiles."
        found.append(Issue("error", "too-long", text, f"{path}.profiles"))
    return found


# What breaks one of these says something about the content, and the server can hold it all the same.
_KEPT_CODES = frozenset({"invariant", "code-invalid"})
# Types that this server only keeps, finds and shows: nothing in it relies on an element that R4 requires of them or of
# their parts.
WITH_GAPS = frozenset({
    "AllergyIntolerance", "ClinicalImpression", "Condition", "DiagnosticReport", "FamilyMemberHistory", "Goal",
    "ImagingStudy", "Immunization", "Media", "MedicationAdministration", "MedicationDispense", "MedicationStatement",
    "Observation", "Procedure", "RiskAssessment",
})  # fmt: skip
# Types by which this server decides who sees what: a code that it does not know would decide nothing.
DECIDING = frozenset({"Consent"})
# Markup that could run in a reader's browser is stored in no mode.
_NEVER = frozenset({"txt-1"})


def harmful(issue: Issue) -> bool:
    """Whether data with this fault could do harm to its readers."""
    return issue.rule in _NEVER


def storable(issue: Issue) -> bool:
    """Whether data with this fault can be kept in the mode `tag`: broken invariants, bindings and references, and gaps
    in what feeds bring. What has no place in R4's JSON (structure, value) is refused in every mode."""
    if harmful(issue):
        return False
    return issue.code in _KEPT_CODES or issue.rule in REFERENCE_RULES or gap(issue) in WITH_GAPS
