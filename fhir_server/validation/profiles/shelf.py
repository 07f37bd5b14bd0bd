"""Compiled profiles that tenants share: one for all who would have compiled the same.

A compiled profile goes with what was looked for while it was made and a digest of what was found: itself, its bases,
the profiles of its parts. It is handed only to a tenant who finds the same under each of these names; so nobody meets
another tenant's definitions. Value sets are not among them: they are asked for when a resource is on trial, each time,
of its own tenant.
"""

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from fhir_server.conformance import base_definitions
from fhir_server.conformance.definition_bodies import digest
from fhir_server.conformance.snapshot_sources import Find

if TYPE_CHECKING:
    from fhir_server.validation.profiles.plans import Plan

# (type, canonical) of what was looked for.
Name = tuple[str, str]
# What was found: a digest; b"" for what every tenant has, None for nothing.
Digest = bytes | None

_TYPE = "StructureDefinition"


class Noting:
    """Finds definitions as `find` does, and notes what was found. `known`: digests of this tenant's definitions."""

    def __init__(self, find: Find, known: dict[Name, Digest]) -> None:
        self._find = find
        self._known = known
        self.found: dict[Name, Digest] = {}

    def __call__(self, resource_type: str, canonical: str) -> dict[str, Any] | None:
        name, definition = (resource_type, canonical), self._find(resource_type, canonical)
        if name not in self._known:
            self._known[name] = _digest(name, definition)
        self.found[name] = self._known[name]
        return definition

    def digest(self, name: Name) -> Digest:
        """Of what the tenant finds under a name."""
        if name not in self._known:
            self._known[name] = _digest(name, self._find(*name))
        return self._known[name]


def _digest(name: Name, definition: dict[str, Any] | None) -> Digest:
    if definition is None:
        return None
    return b"" if definition is base_definitions.find(*name) else digest(definition)


# By the canonical and what it means. They live as long as a tenant uses them.
_plans: "dict[tuple[str, Digest], tuple[ref[Plan], ...]]" = {}


def taken(canonical: str, noting: Noting) -> "Plan | None":
    """A compiled profile that was made of what this tenant has."""
    for each in _plans.get((canonical, noting.digest((_TYPE, canonical))), ()):
        plan = each()
        if plan is not None and all(noting.digest(name) == found for name, found in plan.made_of.items()):
            return plan
    return None


def put(canonical: str, plan: "Plan") -> None:
    """Offer a compiled profile to others."""
    key = canonical, plan.made_of[_TYPE, canonical]
    _plans[key] = (*_plans.get(key, ()), ref(plan, partial(_gone, key)))


def _gone(key: tuple[str, Digest], gone: "ref[Plan]") -> None:
    left = tuple(each for each in _plans.get(key, ()) if each is not gone)
    if left:
        _plans[key] = left
    else:
        _plans.pop(key, None)
