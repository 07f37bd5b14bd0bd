"""Validation of a resource against profiles, beyond the base of R4.

https://hl7.org/fhir/R4/profiling.html
"""

from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.validation.profiles.plans import plans_of
from fhir_server.validation.profiles.trial import Trial
from fhir_server.validation.scope import Scope
from fhir_server.validation.walk import Path


def profile_issues(
    scope: Scope,
    resource: dict[str, Any],
    profile: str,
    *,
    root: dict[str, Any] | None = None,
    bundle: dict[str, Any] | None = None,
    path: Path | None = None,
) -> list[Issue]:
    """What a resource that is valid R4 lacks for a profile (canonical), in the order of the profile's elements; errors,
    warnings and information; [] when it conforms.

    root: the resource that contains it. bundle: the Bundle that it is an entry of. path: where it stands in what is
    validated, `Patient` if not given. Raises `NotFound` for a profile that nobody has, `Unprocessable` for one that
    cannot be used.
    """
    plans = plans_of(scope.registry)
    plan = plans.plan(scope, profile)
    trial = Trial(scope, plans, resource, root, bundle)
    place = path or (None, resource["resourceType"], None)
    if plans.is_a(resource["resourceType"], plan.type):
        trial.against(plan, trial.resource, place)
    else:
        text = f"{plan.name} is a profile of {plan.type}, and the resource is of type {resource['resourceType']}."
        trial.fail(place, "value", text, f"{plan.url}#{plan.type}")
    return list(dict.fromkeys(trial.issues))


def known_profile(scope: Scope, canonical: str) -> bool:
    """Whether there is a structure definition of this canonical here."""
    return scope.definitions.find("StructureDefinition", canonical) is not None
