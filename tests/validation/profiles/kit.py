"""Profiles written in a line or two, and a scope that knows them and nothing else but R4."""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.registry import Registry, base_registry, tenant_registry
from fhir_server.core.errors import Issue
from fhir_server.storage.definitions import DefinitionRow
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.run import check
from fhir_server.validation.scope import Scope

URL = "http://example.org/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
Json = dict[str, Any]


class Codes:
    """Value sets as sets of (system, code), besides R4's own; others cannot be told."""

    def __init__(self, value_sets: Mapping[str, set[tuple[str, str]]] | None = None) -> None:
        self._value_sets = value_sets or {}

    def codes(self, value_set: str, most: int = 2000) -> frozenset[tuple[str, str]] | None:
        """The codes of a value set that has at most so many."""
        url = value_set.partition("|")[0]
        found = self._value_sets.get(url)
        known = base_registry().codes(url) if found is None else frozenset(found)
        return known if known is not None and len(known) <= most else None

    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a value set has a code."""
        known = self.codes(value_set, 100_000)
        if known is None or system is not None:
            return None if known is None else (system, code) in known
        return any(each == code for _, each in known)

    def said(self, system: str, code: str, display: str | None) -> tuple[Issue, ...]:
        """What a code system says of a coding: nobody can tell."""
        return ()

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether a code is the beginning of another."""
        return b.startswith(a)


class Known(Definitions):
    """Definitions given by hand, then R4's."""

    def __init__(self, registry: Registry, definitions: Mapping[str, Json]) -> None:
        super().__init__(registry.canonicals, None, 0)
        self._own = definitions

    def find(self, resource_type: str, canonical: str) -> Json | None:
        """A definition by canonical."""
        url = canonical.partition("|")[0]
        return self._own.get(url) or base_definitions.find(resource_type, canonical)


def scope_of(
    *definitions: Json,
    value_sets: Mapping[str, set[tuple[str, str]]] | None = None,
    resolve: Callable[[str], Json | None] = lambda reference: None,
) -> Scope:
    """A scope whose tenant has these definitions."""
    # One row, so that the tenant's compiled profiles are nobody else's.
    row = DefinitionRow(0, "urn:kit", 1, "", 1, "kit", "active", "", "", "")
    registry = tenant_registry(1, (), definitions=[row])
    return Scope(registry, Known(registry, {each["url"]: each for each in definitions}), Codes(value_sets), resolve)


def el(id_: str, **content: Any) -> Json:
    """An ElementDefinition: `el("Patient.name", min=1)`."""
    path = ".".join(step.partition(":")[0] for step in id_.split("."))
    last = id_.rpartition(".")[2].partition(":")[2]
    named = {"sliceName": last} if last else {}
    return {"id": id_, "path": path, **named, **{name.rstrip("_"): value for name, value in content.items()}}


def profile(type_: str, *elements: Json, name: str = "tried", base: str = "", **content: Any) -> Json:
    """A StructureDefinition with a differential."""
    kind = base_registry().structures[type_].kind
    return {
        "resourceType": "StructureDefinition", "url": URL + name, "name": name, "status": "active", "kind": kind,
        "abstract": False, "type": type_, "baseDefinition": base or CORE + type_, "derivation": "constraint",
        "differential": {"element": list(elements) or [el(type_)]}, **content,
    }  # fmt: skip


def extension(name: str, *elements: Json, on: str = "Element", **content: Any) -> Json:
    """The definition of an extension."""
    url = el("Extension.url", fixedUri=URL + name)
    contexts = content.pop("context", [{"type": "element", "expression": on}])
    parts = [each for each in elements if each["path"] == "Extension" or each["path"].startswith("Extension.extension")]
    others = [each for each in elements if each not in parts]
    return profile("Extension", *parts, url, *others, name=name, context=contexts, **content)


def slicing(*discriminators: str, rules: str = "open", ordered: bool = False) -> Json:
    """ElementDefinition.slicing: `slicing("value:code", rules="closed")`."""
    said = [dict(zip(("type", "path"), each.split(":", 1), strict=True)) for each in discriminators]
    return {"discriminator": said, "rules": rules, "ordered": ordered}


def errors(scope: Scope, resource: Json, name: str = "tried", **where: Any) -> list[Issue]:
    """The errors of a resource, which is valid R4, by a profile."""
    assert [issue for issue in check(scope.registry, resource) if issue.severity == "error"] == []
    found = profile_issues(scope, resource, name if ":" in name else URL + name, **where)
    return [issue for issue in found if issue.severity == "error"]
