"""Everything there is to say of a resource in one go: R4 itself with its best practice, the profiles that it claims and
those that the tenant demands, and those that somebody asks for; for a Bundle also of every resource in it.

https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.conformance.definitions import FHIR_VERSION
from fhir_server.core.context import Context
from fhir_server.core.errors import Issue
from fhir_server.interactions.judging import ERRORS, distinct, following, judged, scope_of, softened
from fhir_server.security import policy
from fhir_server.validation.coding_systems import coding_issues
from fhir_server.validation.issues import gap
from fhir_server.validation.modes import ADVISE, storable
from fhir_server.validation.run import check
from fhir_server.validation.scope import Members, Scope

_MOST_NAMED = 12
_RANK = {"fatal": 0, "error": 0, "warning": 1, "information": 2}


def examine(ctx: Context, resource: Any, profiles: Sequence[str] = ()) -> list[Issue]:
    """All issues of a resource, errors first; the last ones say what was checked and what could not be. `profiles`:
    canonicals that are known here, to check besides. What the tenant only advises on is a warning.

    Raises `Invalid` for what is no resource at all.
    """
    found = check(ctx.registry, resource)
    checked: dict[str, None] = {}
    untold: dict[str, None] = {}
    # What has not the shape of R4 is not looked at further; a broken rule or code does not hide the others.
    if all(issue.severity not in ERRORS or _is_of_sound_shape(issue) for issue in found):
        scope = following(ctx, scope_of(ctx))
        if _reads_code_systems(ctx):
            found += coding_issues(ctx.registry, resource, scope.membership.said)
        scope = replace(scope, membership=_Noting(scope.membership, untold))
        for verdict in judged(ctx, resource, asked=profiles, scope=scope):
            found += softened(verdict.issues) if verdict.mode == ADVISE else verdict.issues
            if verdict.profile and not any(issue.rule == verdict.profile for issue in verdict.issues):
                checked[_versioned(scope, verdict.profile)] = None
    found = distinct(found)
    found.sort(key=lambda issue: _RANK.get(issue.severity, 0))
    return [*found, *_told(list(checked), list(untold))]


def _reads_code_systems(ctx: Context) -> bool:
    types = policy.readable_types(ctx, "r")
    return (types is None or "CodeSystem" in types) and policy.rule(ctx, ("CodeSystem",), "r") is None


def _is_of_sound_shape(issue: Issue) -> bool:
    return storable(issue) or issue.code == "invariant" or gap(issue) is not None


class _Noting:
    """Members that note of which value sets they could not tell."""

    def __init__(self, members: Members, untold: dict[str, None]) -> None:
        self._members = members
        self._untold = untold

    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        """As the members themselves."""
        found = self._members.check(value_set, system, code)
        if found is None:
            self._untold[value_set] = None
        return found

    def said(self, system: str, code: str, display: str | None) -> Sequence[Issue]:
        """As the members themselves."""
        return self._members.said(system, code, display)

    def codes(self, value_set: str, most: int = 2000) -> frozenset[tuple[str, str]] | None:
        """As the members themselves."""
        return self._members.codes(value_set, most)

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """As the members themselves."""
        return self._members.subsumes(system, a, b)


def _versioned(scope: Scope, canonical: str) -> str:
    definition = scope.definitions.find("StructureDefinition", canonical) or {}
    version = definition.get("version")
    return f"{definition.get('url', canonical)}|{version}" if version else canonical.partition("|")[0]


def _told(checked: Sequence[str], untold: Sequence[str]) -> Iterator[Issue]:
    yield Issue("information", "informational", f"Checked against {_listed([f'FHIR {FHIR_VERSION}', *checked])}.")
    if untold:
        text = f"Not checked, because their code systems are not here: codes of {_listed(untold)}."
        yield Issue("information", "not-supported", text)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
