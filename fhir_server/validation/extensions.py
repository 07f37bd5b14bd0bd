"""Every extension of a resource whose definition is known: its place, its number, its content.

Definitions are R4's, this server's and the tenant's. Others' extensions are others' business, but for modifiers, which
a reader must understand. https://hl7.org/fhir/R4/extensibility.html
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.conformance.structures import Structure
from fhir_server.core.errors import Issue, Unprocessable
from fhir_server.fhirpath import FhirPathError, Node, compile_node_expression
from fhir_server.validation import walk
from fhir_server.validation.issues import times
from fhir_server.validation.profiles.contexts import names_of, stands_right
from fhir_server.validation.profiles.plans import Plan, plans_of
from fhir_server.validation.profiles.trial import Trial
from fhir_server.validation.scope import Scope
from fhir_server.validation.walk import Path, Rule, Visit, Walk

OWN = "urn:salam:StructureDefinition:"
_KINDS = ("extension", "modifierExtension")


class _Pass(Walk):
    """A pass over one resource. place: where it stands."""

    __slots__ = ("place", "trial")

    def __init__(self, trial: Trial, place: Path, issues: list[Issue]) -> None:
        super().__init__(trial.resource[1], trial.root[1], issues)
        self.trial = trial
        self.place = place
        trial.issues = issues


def extension_issues(scope: Scope, resource: dict[str, Any], *, path: Path | None = None) -> list[Issue]:
    """What is wrong with the known extensions of a resource that is valid R4, inner resources included; [] when nothing
    is. path: where it stands in what is validated, its type if not given."""
    place = path or (None, resource["resourceType"], None)
    trial = Trial(scope, plans_of(scope.registry), resource)
    found = _Pass(trial, place, [])
    plans = _passes(scope.registry)
    plans.walk(plans.plan(resource["resourceType"]), resource, place, found)
    return list(dict.fromkeys(found.issues))


def own_issues(resource: dict[str, Any]) -> list[Issue]:
    """What is wrong with this server's own extensions that stand directly on a resource, whatever the tenant has.

    Their definitions come with the server, so every write is held to them. Codes are not looked at here."""
    extensions = resource.get("extension", ())
    if not any(extension["url"].startswith(OWN) for extension in extensions):
        return []
    scope = _own_scope()
    place: Path = (None, resource["resourceType"], None)
    found = _Pass(Trial(scope, plans_of(scope.registry), resource), place, [])
    _look_at(found, (resource["resourceType"], resource, None), "extension", place, OWN)
    return [issue for issue in dict.fromkeys(found.issues) if issue.severity == "error"]


class _NoMembers:
    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        return None

    def codes(self, value_set: str, most: int = 2000) -> frozenset[tuple[str, str]] | None:
        return None

    def said(self, system: str, code: str, display: str | None) -> Sequence[Issue]:
        return ()

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        return None


@cache
def _own_scope() -> Scope:
    registry = base_registry()
    return Scope(registry, Definitions(registry.canonicals, None, 0), _NoMembers())


_made: dict[int, tuple[Registry, walk.Plans]] = {}


def _passes(registry: Registry) -> walk.Plans:
    key = id(registry.structures)
    made = _made.get(key)
    if made is None or made[0].structures is not registry.structures:
        made = _made[key] = (registry, walk.Plans(registry, (EXTENSIONS,), _nested))
    return made[1]


def _nested(resource: Any, path: Path, outer: Walk) -> None:
    assert isinstance(outer, _Pass)
    inner = _Pass(outer.trial.within(resource, contained=path[1] == "contained"), path, outer.issues)
    plans = _passes(outer.trial.scope.registry)
    plans.walk(plans.plan(resource["resourceType"]), resource, path, inner)


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    if "extension" not in structure.elements:
        return None

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        for kind in _KINDS:
            if kind in value:
                assert isinstance(walk, _Pass)
                _look_at(walk, (structure.name, value, None), kind, path)

    return visit


EXTENSIONS = Rule("extensions", on_object=_on_object)


def _look_at(at: _Pass, parent: Node, kind: str, path: Path, prefix: str = "") -> None:
    counts: dict[str, int] = {}
    for index, extension in enumerate(parent[1][kind]):
        url = extension["url"]
        # The parts of an extension have names, and no definitions of their own.
        if ":" not in url or not url.startswith(prefix):
            continue
        counts[url] = counts.get(url, 0) + 1
        place: Path = (path, kind, index)
        try:
            plan = at.trial.plans.target(at.trial.scope, url)
        except Unprocessable as unusable:
            said = unusable.issues[0].text
            text = f"The definition of this extension cannot be used: {said}"
            at.fail(place, "processing", text, rule=f"{url}#Extension")
            continue
        if plan is None or plan.definition is None or plan.type != "Extension":
            _unknown(at, url, kind, place)
        else:
            _known(at, plan, parent, kind, extension, counts[url], place)


def _unknown(at: _Pass, url: str, kind: str, place: Path) -> None:
    if url.startswith(OWN):
        at.fail((place, "url", None), "extension", "This server defines no such extension.", rule=url)
    elif kind == "modifierExtension":
        text = "This modifier extension is not known here: whoever reads the resource must know what it changes."
        at.fail(place, "extension", text, "warning", url)


def _known(at: _Pass, plan: Plan, parent: Node, kind: str, extension: Any, count: int, place: Path) -> None:
    definition = plan.definition or {}
    root = (definition.get("snapshot") or definition.get("differential") or {}).get("element", [{}])[0]
    modifies = bool(root.get("isModifier"))
    if modifies is not (kind == "modifierExtension"):
        what = "changes" if modifies else "does not change"
        text = f"This extension {what} the meaning of what it stands on: it stands in '{_KINDS[modifies]}'."
        at.fail(place, "extension", text, rule=f"{plan.url}#Extension")
    most = root.get("max", "*")
    if most != "*" and count > int(most):
        text = f"This extension may stand here {times(int(most))}, and not {count} times."
        at.fail(place, "structure", text, rule=f"{plan.url}#Extension")
    holder = place[0]
    names = names_of(at.trial.plans.structures, holder, at.place, at.resource["resourceType"])
    if not stands_right(definition, names, parent, at.trial.env, at.trial.scope.registry):
        listed = ", ".join(str(context.get("expression")) for context in definition["context"])
        at.fail(place, "extension", f"This extension belongs on {listed}, not here.", rule=f"{plan.url}#context")
    for expression in definition.get("contextInvariant", ()):
        _invariant(at, plan, expression, parent, extension, place)
    at.trial.against(plan, ("Extension", extension, None), place)


def _invariant(at: _Pass, plan: Plan, expression: str, parent: Node, extension: Any, place: Path) -> None:
    env = at.trial.fresh_env({"extension": [("Extension", extension, None)]})
    try:
        compiled, _ = compile_node_expression(expression, parent[0], at.trial.scope.registry)
        held = compiled.condition()([parent], env)
    except FhirPathError:
        return
    if held is False:
        text = f"This extension does not fit what it stands on: {expression}"
        at.fail(place, "invariant", text, rule=f"{plan.url}#contextInvariant")
