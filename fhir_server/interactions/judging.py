"""What is checked of a resource beyond R4 itself, and how much each check counts by the tenant's policy: profiles that
are claimed or demanded, extensions, and answers against their Questionnaire.

https://hl7.org/fhir/R4/profiling.html#resources
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance import base_definitions
from fhir_server.conformance.canonicals import Canonicals, Definitions
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Issue, NotFound, TooCostly
from fhir_server.interactions import stored
from fhir_server.terminology.membership import Membership
from fhir_server.validation.entries import entries, resolver
from fhir_server.validation.extensions import extension_issues
from fhir_server.validation.modes import ADVISE, MODES, OFF, REJECT, Policy, policy_of
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.questionnaires import responses
from fhir_server.validation.scope import Scope

ERRORS = ("error", "fatal")
_MOST_FOLLOWED = 50
_BASE = "http://hl7.org/fhir/StructureDefinition/"
# What is checked against another resource that the content names, by type.
AGAINST_OTHERS = {"QuestionnaireResponse": responses.issues}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found. `profile`: the canonical, where one was checked."""

    mode: str
    issues: list[Issue]
    profile: str | None = None

    def under(self, path: str) -> "Verdict":
        """The same as seen from the Bundle that has the resource at `path`."""
        moved = [replace(issue, expression=_under(path, issue.expression)) for issue in self.issues]
        return replace(self, issues=moved)


def _under(path: str, expression: str | None) -> str:
    _, dot, rest = (expression or "").partition(".")
    return f"{path}{dot}{rest}"


def judged(
    ctx: Context,
    resource: dict[str, Any],
    modes: Collection[str] = MODES,
    *,
    asked: Sequence[str] = (),
    scope: Scope | None = None,
    bundle: dict[str, Any] | None = None,
) -> Iterator[Verdict]:
    """The verdicts of all checks whose mode is one of these, `off` never; of a Bundle those of its entries too. The
    shape of the resource is sound. `asked`: profiles that somebody asks for besides; `bundle`: whose entry it is."""
    policy, canonicals = policy_of(ctx.tenant.settings, resource["resourceType"]), ctx.registry.canonicals
    modes = [mode for mode in modes if mode != OFF]
    profiles = [row for row in _profiles(ctx, resource, policy, asked) if row[2] in modes]
    extended = policy.mode in modes
    if policy.mode is None:
        extended = ADVISE in modes or has_extensions(canonicals)
    also, mode = AGAINST_OTHERS.get(resource["resourceType"]), policy.mode or REJECT
    if profiles or extended or also:
        scope = scope or scope_of(ctx)
        for path, canonical, each in profiles:
            yield Verdict(each, _against(scope, resource, canonical, path, bundle), canonical)
        if extended and bundle is None:
            yield from (each for each in _extensions(canonicals, scope, resource, policy) if each.mode in modes)
        if also is not None and mode in modes:
            target = _stored_target(ctx) if bundle is None else resolver(bundle, _stored_target(ctx))
            yield Verdict(mode, also(replace(scope, resolve=target), resource))
    for path, inner in entries(resource):
        for verdict in judged(ctx, inner, modes, scope=scope, bundle=resource):
            yield verdict.under(path)


def _profiles(
    ctx: Context, resource: dict[str, Any], policy: Policy, asked: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """(where it is claimed, canonical, mode) of the profiles to check, each once, without the definition of the type
    itself."""
    name = resource["resourceType"]
    seen = {f"{_BASE}{name}", *asked}
    yield from ((name, canonical, REJECT) for canonical in asked)
    for index, canonical in enumerate(resource.get("meta", {}).get("profile", ())):
        if canonical is not None and canonical not in seen:
            seen.add(canonical)
            demanded = canonical in policy.profiles
            yield f"{name}.meta.profile[{index}]", canonical, _mode(ctx, policy, canonical, demanded=demanded)
    for canonical in policy.profiles:
        if canonical not in seen:
            yield name, canonical, _mode(ctx, policy, canonical, demanded=True)


def _mode(ctx: Context, policy: Policy, canonical: str, *, demanded: bool) -> str:
    if demanded or ctx.registry.canonicals.find("StructureDefinition", canonical) is not None:
        return policy.mode or REJECT
    if policy.mode is None and policy.unknown == ADVISE:
        return ADVISE
    return (policy.mode or ADVISE) if base_definitions.find("StructureDefinition", canonical) else policy.unknown


def _against(
    scope: Scope, resource: dict[str, Any], canonical: str, path: str, bundle: dict[str, Any] | None
) -> list[Issue]:
    try:
        return profile_issues(scope, resource, canonical, bundle=bundle)
    except NotFound:
        text = f"The profile {canonical} is not known here, so nothing was checked against it."
        return [Issue("error", "not-found", text, path, rule=canonical)]
    except TooCostly:
        raise
    except FhirError as error:
        said = error.issues[0]
        text = f"The profile {canonical} cannot be used ({said.expression or 'StructureDefinition'}: {said.text})"
        return [Issue("error", "processing", text, path, rule=canonical)]


_extended: WeakKeyDictionary[Canonicals, bool] = WeakKeyDictionary()


def has_extensions(canonicals: Canonicals) -> bool:
    """Whether a tenant has definitions of extensions, which count wherever they are used."""
    found = _extended.get(canonicals)
    if found is None:
        found = any(row.subject == "Extension" for row in canonicals.all("StructureDefinition"))
        _extended[canonicals] = found
    return found


def _extensions(
    canonicals: Canonicals, scope: Scope, resource: dict[str, Any], policy: Policy
) -> Iterator[Verdict]:
    """What is wrong with extensions whose definitions are known: as for profiles, the tenant's own reject."""
    found: dict[str, list[Issue]] = {}
    for issue in extension_issues(scope, resource):
        url = (issue.rule or "").partition("#")[0]
        own = canonicals.find("StructureDefinition", url) is not None
        found.setdefault(policy.mode or (REJECT if own else ADVISE), []).append(issue)
    yield from (Verdict(mode, issues) for mode, issues in found.items())


def softened(issues: Iterable[Issue]) -> list[Issue]:
    """The same issues, errors as warnings."""
    return [replace(issue, severity="warning") if issue.severity in ERRORS else issue for issue in issues]


def distinct(issues: Iterable[Issue]) -> list[Issue]:
    """The issues in their order, each once: profiles repeat what stands in their bases."""
    found: dict[tuple[str, str, str | None], Issue] = {}
    for issue in issues:
        found.setdefault((issue.severity, issue.rule or issue.text, issue.expression), issue)
    return list(found.values())


def scope_of(ctx: Context) -> Scope:
    """What a validation for this caller can ask: the tenant's definitions and codes. Of what references point to
    outside of the content at hand only the type counts: what is stored changes without this resource."""
    known: Scope | None = ctx.memo.get((Scope, ctx.registry))
    if known is not None:
        return known
    definitions = Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id)
    made = Scope(ctx.registry, definitions, Membership(ctx.registry, definitions, ctx.db, ctx.tenant.id))
    ctx.memo[Scope, ctx.registry] = made
    return made


def following(ctx: Context, scope: Scope) -> Scope:
    """The same, which also finds what references lead to on this server, as far as the caller may read it: for who
    asks, not for writes. The first 50 are followed."""
    found: dict[str, dict[str, Any] | None] = {}

    def resolve(reference: str) -> dict[str, Any] | None:
        name = stored.local(ctx, {"reference": reference})
        if name is None or (name not in found and len(found) >= _MOST_FOLLOWED):
            return None
        if name not in found:
            found[name] = _readable(ctx, name)
        return found[name]

    return replace(scope, resolve=resolve)


def _readable(ctx: Context, name: str) -> dict[str, Any] | None:
    type_, _, id_ = name.partition("/")
    try:
        return stored.get(ctx, type_, id_) if type_ in ctx.registry.type_ids else None
    except FhirError:
        return None


def _stored_target(ctx: Context) -> Callable[[str], dict[str, Any] | None]:
    """Finds what a reference to this server points to, for rules that need its content; whether the caller may read it
    is not the rule's business."""

    def resolve(reference: str) -> dict[str, Any] | None:
        name = stored.local(ctx, {"reference": reference})
        return None if name is None else stored.by_name(ctx, [name]).get(name)

    return resolve
