"""The compiled profiles of one set of definitions, each compiled when it is first needed.

Kept with the tenant's `Canonicals`, which are made anew when any of its definitions changes; tenants without
definitions share one. They keep nothing of value sets and codes, which change by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance.canonicals import Canonicals
from fhir_server.conformance.registry import Registry
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.conformance.structures import Structure
from fhir_server.core.errors import NotFound, Unprocessable
from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.compiler import Compiler, joined
from fhir_server.validation.profiles.references import core_type
from fhir_server.validation.profiles.tree import Branch, tree
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.profiles.types import QUANTITIES
from fhir_server.validation.scope import Scope
from fhir_server.validation.walk import Path

_MOST = 2000
_IMPOSE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-imposeProfile"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A profile ready to check items of its type. base: a type of R4 itself, which has nothing beyond the base."""

    url: str
    name: str
    type: str
    check: Check
    base: bool = False
    definition: Mapping[str, Any] | None = None


def _nothing(node: Node, path: Path, trial: Trial) -> None:
    return None


class Plans:
    """Profiles by canonical."""

    def __init__(self, structures: Mapping[str, Structure]) -> None:
        self.structures = structures
        self._plans: dict[str, Plan | None] = {}
        self._trees: dict[str, tuple[Branch, dict[str, Branch]] | None] = {}

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
        type_ = core_type(canonical)
        if type_ is not None and type_ in self.structures and type_ not in QUANTITIES:
            made: Plan | None = Plan(canonical, type_, type_, _nothing, base=True)
        else:
            made = self._compiled(scope, canonical)
        self._plans[canonical] = made
        return made

    def tree(self, scope: Scope, canonical: str) -> Branch | None:
        """The elements of a profile, or None when nobody has it."""
        found = self._read(scope, canonical, scope.definitions.find("StructureDefinition", canonical))
        return found[0] if found else None

    def is_a(self, type_: str, ancestor: str) -> bool:
        """Whether a type is another one or derived from it in R4."""
        structure = self.structures.get(type_)
        while type_ != ancestor:
            if structure is None or structure.base is None:
                return False
            type_ = structure.base
            structure = self.structures.get(type_)
        return True

    def _read(
        self, scope: Scope, canonical: str, definition: dict[str, Any] | None
    ) -> tuple[Branch, dict[str, Branch]] | None:
        if canonical not in self._trees:
            find = scope.definitions.find
            self._trees[canonical] = None if definition is None else tree(snapshot_of(definition, find))
        return self._trees[canonical]

    def _compiled(self, scope: Scope, canonical: str) -> Plan | None:
        definition = scope.definitions.find("StructureDefinition", canonical)
        found = self._read(scope, canonical, definition)
        if definition is None or found is None:
            return None
        url, type_ = definition.get("url", canonical), definition.get("type", "")
        if type_ not in self.structures:
            raise Unprocessable(f"The profile {url} is about {type_ or 'no type'}, which is no type of FHIR R4.")
        name = url.rpartition("/")[2].rpartition(":")[2]
        compiler = Compiler(self, scope, url, name, *found)
        try:
            content = compiler.content(found[0], type_)
        except (KeyError, ValueError, RecursionError):
            # What R4's invariants forbid of a definition may have been kept all the same, in `tag` or from a package.
            raise Unprocessable(f"The elements of {url} do not fit together.") from None
        checks = [check for check in (content, *map(_imposed, _imposes(definition))) if check]
        return Plan(url, name, type_, joined(checks) or _nothing, definition=definition)


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
