"""The compiled profiles of one set of definitions, each compiled when it is first needed.

Kept with the tenant's `Canonicals`, which are made anew when any of its definitions changes; what several tenants would
compile alike they share (`shelf.py`). They keep nothing of value sets and codes, which change by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance.canonicals import Canonicals
from fhir_server.conformance.definition_bodies import said
from fhir_server.conformance.registry import Registry
from fhir_server.conformance.snapshot_sources import Find
from fhir_server.conformance.structures import Structure, is_a
from fhir_server.core.errors import NotFound, Unprocessable
from fhir_server.fhirpath import Node
from fhir_server.validation.profiles import shelf
from fhir_server.validation.profiles.compiler import Compiler, joined
from fhir_server.validation.profiles.references import core_type
from fhir_server.validation.profiles.tree import Branch, read
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.profiles.types import QUANTITIES
from fhir_server.validation.scope import Scope
from fhir_server.validation.walk import Path

_MOST = 2000
_IMPOSE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Plan:
    """A profile ready to check items of its type. base: a type of R4 itself, which has nothing beyond the base.
    made_of: digests of the definitions that it was made of."""

    url: str
    name: str
    type: str
    check: Check
    base: bool = False
    definition: Mapping[str, Any] | None = None
    made_of: Mapping[shelf.Name, shelf.Digest] = field(default_factory=dict)


def _nothing(node: Node, path: Path, trial: Trial) -> None:
    return None


class Plans:
    """Profiles by canonical."""

    def __init__(self, structures: Mapping[str, Structure]) -> None:
        self.structures = structures
        self._plans: dict[str, Plan | None] = {}
        self._trees: dict[str, Branch | None] = {}
        self._digests: dict[shelf.Name, shelf.Digest] = {}

    def plan(self, scope: Scope, canonical: str) -> Plan:
        """The compiled profile. Raises `NotFound` when nobody has it, `Unprocessable` when it cannot be used."""
        found = self.target(scope, canonical)
        if found is None:
            raise NotFound(f"There is no StructureDefinition {canonical} here.")
        return found

    def target(self, scope: Scope, canonical: str) -> Plan | None:
        """As `plan`, but None for a profile that nobody has, and a plan without checks for a type of R4."""
        if canonical in self._plans:
            return self._plans[canonical]
        if len(self._plans) >= _MOST:
            self._plans.clear()
            self._trees.clear()
            self._digests.clear()
        type_ = core_type(canonical)
        if type_ is not None and type_ in self.structures and type_ not in QUANTITIES:
            made: Plan | None = Plan(canonical, type_, type_, _nothing, base=True)
        else:
            made = self._made(scope, canonical)
        self._plans[canonical] = made
        return made

    def tree(self, scope: Scope, canonical: str) -> Branch | None:
        """The elements of a profile, or None when nobody has it."""
        if canonical not in self._trees:
            found = read(scope.definitions.find, canonical)
            self._trees[canonical] = found[0] if found else None
        return self._trees[canonical]

    def is_a(self, type_: str, ancestor: str) -> bool:
        """Whether a type is another one or derived from it in R4."""
        return is_a(self.structures, type_, ancestor)

    def _made(self, scope: Scope, canonical: str) -> Plan | None:
        noting = shelf.Noting(scope.definitions.find, self._digests)
        made = shelf.taken(canonical, noting)
        if made is None and (made := _compiled(scope.registry, noting, canonical)) is not None:
            made = replace(made, made_of=noting.found)
            shelf.put(canonical, made)
        return made


def _compiled(registry: Registry, find: Find, canonical: str) -> Plan | None:
    definition, found = find("StructureDefinition", canonical), read(find, canonical)
    if definition is None or found is None:
        return None
    url, type_ = definition.get("url", canonical), definition.get("type", "")
    if type_ not in registry.structures:
        raise Unprocessable(f"The profile {url} is about {type_ or 'no type'}, which is no type of FHIR R4.")
    name = url.rpartition("/")[2].rpartition(":")[2]
    compiler = Compiler(registry, find, url, name, *found)
    try:
        content = compiler.content(found[0], type_)
    except (KeyError, ValueError, RecursionError):
        # What R4's invariants forbid of a definition may have been kept all the same, in `tag` or from a package.
        raise Unprocessable(f"The elements of {url} do not fit together.") from None
    checks = [check for check in (content, *map(_imposed, _imposes(definition))) if check]
    return Plan(url, name, type_, joined(checks) or _nothing, definition=said(definition))


def _imposes(definition: Mapping[str, Any]) -> list[str]:
    extensions = definition.get("extension", ())
    return [each["valueCanonical"] for each in extensions if each["url"] == _IMPOSE and "valueCanonical" in each]


def _imposed(canonical: str) -> Check:
    """What conforms to a profile conforms to those that it imposes, too."""

    def check(node: Node, path: Path, trial: Trial) -> None:
        plan = trial.plans.target(trial.scope, canonical)
        if plan is None:
            text = f"The profile {canonical}, which is imposed, is not known here, so it was not checked."
            trial.fail(path, "not-found", text, canonical, "warning")
        elif trial.plans.is_a(node[0], plan.type):
            trial.against(plan, node, path)

    return check


_kept: "WeakKeyDictionary[Canonicals, Plans]" = WeakKeyDictionary()


def plans_of(registry: Registry) -> Plans:
    """The compiled profiles that a tenant works with."""
    found = _kept.get(registry.canonicals)
    if found is None:
        found = _kept[registry.canonicals] = Plans(registry.structures)
    return found
