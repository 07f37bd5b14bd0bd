"""What is checked of a package's resources before anything of it is stored.

Published guides often break minor rules: those are noted, and the resource is kept. What this server could not work
with is refused: another shape than R4's, profiles without a snapshot, circles.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from fhir_server.conformance.base_definitions import is_own
from fhir_server.conformance.packages.content import Package, PackageResource
from fhir_server.conformance.packages.notes import Notes
from fhir_server.conformance.registry import Registry
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import FhirError, Invalid, Issue
from fhir_server.core.resource_json import encode
from fhir_server.fhirpath import FhirPathError, compile_node_expression
from fhir_server.interactions.package_circles import Circles, bases, included
from fhir_server.validation.modes import harmful
from fhir_server.validation.run import validate
from fhir_server.validation.structure_definitions import unreadable

Json = dict[str, Any]
Find = Callable[[str, str], Json | None]
# Faults of the shape. Everything else (forms of values, codes, invariants) is said and does no harm here.
_SHAPE = frozenset({"structure", "required"})
_TYPES = "http://hl7.org/fhir/StructureDefinition/"
_NARRATIVE = re.compile(r"\.text(\.div)?\Z")
_MOST = 50
_MOST_RULES = 5_000


@dataclass(slots=True)
class Checked:
    """`resources`: what can be stored; `issues`: why something cannot, each of a member of the package; `notes`: what
    is kept although it is not as it should be."""

    resources: list[PackageResource] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class PackageFinder:
    """Finds definitions in packages that are about to be installed, and then where `otherwise` looks. bases, included:
    the circles that there may be."""

    def __init__(self, packages: Iterable[Package], otherwise: Find) -> None:
        self._held: dict[tuple[str, str], list[PackageResource]] = {}
        self._decoded: dict[int, Json] = {}
        self._otherwise = otherwise
        self._problems: dict[str, str] = {}
        self.bases = Circles("StructureDefinition", bases, self.find)
        self.included = Circles("ValueSet", included, self.find)
        for package in packages:
            for each in package.resources:
                if each.url:
                    self._held.setdefault((each.type, each.url), []).append(each)

    def find(self, resource_type: str, canonical: str) -> Json | None:
        """The definition of a canonical, or None when nobody has it."""
        url, _, version = canonical.partition("#")[0].partition("|")
        for each in reversed(self._held.get((resource_type, url), [])):
            if not version or each.version == version or each.version.startswith(f"{version}."):
                return self.content(each)
        return self._otherwise(resource_type, canonical)

    def content(self, resource: PackageResource) -> Json:
        """The resource decoded; profiles that others rest on are not decoded for each of them."""
        known = self._decoded.get(id(resource))
        if known is None:
            if len(self._decoded) >= 256:
                self._decoded.clear()
            known = self._decoded[id(resource)] = resource.content()
        return known

    def problem(self, expression: str | None, registry: Registry) -> str:
        """Why FHIRPath cannot be compiled; "" when it can. Guides say the same rules in every profile."""
        if not expression:
            return ""
        if expression not in self._problems:
            try:
                compile_node_expression(expression, None, registry)
                self._problems[expression] = ""
            except FhirPathError as error:
                self._problems[expression] = str(error)
        return self._problems[expression]


def check_package(package: Package, registry: Registry, finder: PackageFinder, pulse: Callable[[], None]) -> Checked:
    """Look at every resource of a package by itself and together with what it names; `pulse` is called before each."""
    found, notes = Checked(), Notes()
    for each in package.resources:
        pulse()
        if is_own(each.type, each.url):
            notes.add(each.file, "left out: the server has this definition already, and it is its own.")
            continue
        content = {**each.content(), "id": each.id}
        issues = _shape(each, content, registry, notes)
        if not issues:
            rule = _RULES.get(each.type)
            issues = list(rule(content, registry, finder, notes)) if rule else []
        if issues:
            found.issues += [_of(each, issue) for issue in issues][: max(0, _MOST - len(found.issues))]
        else:
            # What lost its narrative is stored without.
            found.resources.append(each if "text" in content else replace(each, text=encode(content)))
    found.notes = [*package.notes, *notes.sentences()]
    return found


def _of(resource: PackageResource, issue: Issue) -> Issue:
    return replace(issue, text=f"{resource.file}: {issue.text}")


def _shape(resource: PackageResource, content: Json, registry: Registry, notes: Notes) -> list[Issue]:
    """What keeps a resource from being stored at all; the rest becomes notes. A narrative that could do harm in a page
    is left out."""
    try:
        told = issues = _faults(resource, content, registry)
        if any(_NARRATIVE.search(issue.expression or "") for issue in issues):
            for each in (content, *content.get("contained", ())):
                each.pop("text", None)
            issues = _faults(resource, content, registry)
    except Invalid as error:
        return error.issues
    barred = [issue for issue in issues if issue.code in _SHAPE or harmful(issue)]
    if told and not barred:
        first, more = told[0], len(told) - 1
        notes.add(resource.file, f"{first.expression}: {first.text}{f' And {more} more.' if more else ''}")
    return barred


def _faults(resource: PackageResource, content: Json, registry: Registry) -> list[Issue]:
    try:
        validate(registry, content, expected_type=resource.type)
    except Invalid:
        raise
    except FhirError as error:
        return [issue for issue in error.issues if issue.severity in ("error", "fatal")]
    return []


def _profile(content: Json, registry: Registry, finder: PackageFinder, notes: Notes) -> Iterator[Issue]:
    """A StructureDefinition: it is none of FHIR's own types, its bases end, and its snapshot can be made."""
    if str(content.get("url", "")).removeprefix(_TYPES) in registry.structures:
        yield Issue("error", "business-rule", "FHIR's own types are built in and stay.", "StructureDefinition.url")
        return
    if finder.bases.leads_back(content):
        yield Issue("error", "business-rule", "Its bases go in a circle.", "StructureDefinition.baseDefinition")
        return
    try:
        elements = snapshot_of(content, finder.find)
    except FhirError as error:
        yield from error.issues
        return
    faults = [*unreadable(elements)]
    yield from faults
    if faults:
        return
    rules = ((element["id"], rule) for element in elements for rule in element.get("constraint", ()))
    for place, rule in islice(rules, _MOST_RULES):
        problem = finder.problem(rule.get("expression"), registry)
        if problem:
            notes.add(f"{content.get('url')}#{place}", f"the rule {rule.get('key')} cannot be used: {problem}")


def _value_set(content: Json, registry: Registry, finder: PackageFinder, notes: Notes) -> Iterator[Issue]:
    """A ValueSet: it does not include itself, not even through others."""
    if finder.included.leads_back(content):
        yield Issue("error", "business-rule", "The value set includes itself.", "ValueSet.compose.include.valueSet")


_RULES: Mapping[str, Callable[[Json, Registry, PackageFinder, Notes], Iterator[Issue]]] = {
    "StructureDefinition": _profile,
    "ValueSet": _value_set,
}
