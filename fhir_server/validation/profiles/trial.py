"""One resource on trial against profiles: what its checks can ask, and what they found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fhir_server.core.errors import Issue, TooCostly
from fhir_server.fhirpath import Env, Node
from fhir_server.validation.profiles.coded import within
from fhir_server.validation.scope import Scope
from fhir_server.validation.walk import Path, expression

if TYPE_CHECKING:
    from fhir_server.validation.profiles.plans import Plan, Plans

# What looks at one item of an element: (item, place, trial).
Check = Callable[[Node, Path, "Trial"], None]

# How often an item may be held against slices and profiles, so that slices within slices of deep resources end.
_MOST_TRIALS = 200_000
# From a resource to what it refers to, and what that refers to; beyond, only the types of references are looked at.
_FURTHEST = 2


@dataclass(slots=True)
class _Course:
    """What the trials of one validation share. active: (plan, item) pairs on trial. verdicts: of resources referred to,
    with the resource, so that it lives as long as its id is used. entries: of Bundles, by fullUrl and `Type/id`."""

    active: set[tuple[int, int]] = field(default_factory=set)
    verdicts: dict[tuple[int, int], tuple[Any, Issue | None]] = field(default_factory=dict)
    entries: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    left: int = field(default_factory=lambda: _MOST_TRIALS)


class Trial:
    """root: the resource, or the one that contains it. bundle: the Bundle that it is an entry of. hops: how many
    references lead here from the resource that is validated."""

    __slots__ = ("_env", "bundle", "course", "hops", "issues", "plans", "resource", "root", "scope")

    def __init__(
        self, scope: Scope, plans: "Plans", resource: dict[str, Any], root: dict[str, Any] | None = None,
        bundle: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.scope = scope
        self.plans = plans
        self.resource: Node = (resource["resourceType"], resource, None)
        self.root: Node = self.resource if root is None else (root["resourceType"], root, None)
        self.bundle = bundle
        self.issues: list[Issue] = []
        self.course = _Course()
        self.hops = 0
        self._env: Env | None = None

    @property
    def env(self) -> Env:
        """What FHIRPath reaches from this resource."""
        if self._env is None:
            self._env = Env(self.resource, self.root, services=Answers(self))
        return self._env

    def fresh_env(self, variables: dict[str, list[Node]]) -> Env:
        """The same with further variables."""
        return Env(self.resource, self.root, variables, services=Answers(self))

    def fail(self, path: Path, code: str, text: str, rule: str, severity: str = "error") -> None:
        """Note that something is wrong at a place."""
        self.issues.append(Issue(severity, code, text, expression(path), rule=rule))

    def within(self, resource: dict[str, Any], *, contained: bool) -> "Trial":
        """The trial of a resource inside this one, whose issues are this one's."""
        root = self.root[1] if contained else None
        bundle = self.resource[1] if self.resource[0] == "Bundle" else self.bundle
        inner = Trial(self.scope, self.plans, resource, root, bundle)
        inner.issues, inner.course, inner.hops = self.issues, self.course, self.hops
        return inner

    def spend(self) -> None:
        """Count one trial of an item. Raises `TooCostly` when there are too many."""
        self.course.left -= 1
        if self.course.left < 0:
            raise TooCostly("Slices and profiles within each other take too long to check on this resource.")

    def problems(self, check: Check, node: Node, path: Path) -> list[Issue]:
        """What a check finds, without noting it."""
        self.spend()
        noted, self.issues = self.issues, []
        try:
            check(node, path, self)
            return self.issues
        finally:
            self.issues = noted

    def holds(self, check: Check, node: Node, path: Path) -> bool:
        """Whether a check finds no error."""
        return not any(issue.severity == "error" for issue in self.problems(check, node, path))

    def against(self, plan: "Plan", node: Node, path: Path) -> None:
        """Check an item against a whole profile. One that is on trial against it already is taken to conform."""
        key = (id(plan), id(node[1] if node[1] is not None else node[2]))
        active = self.course.active
        if key in active:
            return
        self.spend()
        active.add(key)
        try:
            plan.check(node, path, self)
        finally:
            active.discard(key)

    def misfit(
        self, target: dict[str, Any], plans: "Sequence[Plan]", path: Path, *, contained: bool
    ) -> Issue | None:
        """What keeps the resource behind a reference from conforming to any of these profiles, by the first of them;
        None when it conforms. Told once for each."""
        first: Issue | None = None
        for plan in plans:
            misfit = None if plan.base else self._misfit(target, plan, path, contained=contained)
            if misfit is None:
                return None
            first = first or misfit
        return first

    def _misfit(self, target: dict[str, Any], plan: "Plan", path: Path, *, contained: bool) -> Issue | None:
        key = (id(plan), id(target))
        known = self.course.verdicts.get(key)
        if known is None:
            inner = self.within(target, contained=contained)
            inner.hops = self.hops + 1
            found = inner.problems(lambda node, place, at: at.against(plan, node, place), inner.resource, path)
            first = next((issue for issue in found if issue.severity == "error"), None)
            known = self.course.verdicts[key] = (target, first)
        return known[1]

    def target(self, reference: str) -> dict[str, Any] | None:
        """The resource that a reference points to, while it is near enough to be looked at."""
        return self.resolved(reference) if self.hops < _FURTHEST else None

    def resolved(self, reference: str) -> dict[str, Any] | None:
        """The resource that a reference points to: contained, in the same Bundle, or known to the scope."""
        if reference.startswith("#"):
            contained = self.root[1].get("contained", ())
            own = self.root[1] if reference == "#" else None
            return next((each for each in contained if each.get("id") == reference[1:]), own)
        return self.bundled(reference) or self.scope.resolve(reference)

    def bundled(self, reference: str) -> dict[str, Any] | None:
        """The entry of the same Bundle that a reference points to, or None."""
        bundle = self.resource[1] if self.resource[0] == "Bundle" else self.bundle
        if bundle is None:
            return None
        entries = self.course.entries.get(id(bundle))
        if entries is None:
            entries = self.course.entries[id(bundle)] = {}
            for entry in bundle.get("entry", ()):
                resource = entry.get("resource")
                if resource is not None:
                    entries.setdefault(f"{resource['resourceType']}/{resource.get('id')}", resource)
                    entries.setdefault(entry.get("fullUrl", ""), resource)
        return entries.get(reference.partition("/_history/")[0]) if reference else None


class Answers:
    """What FHIRPath asks during a trial (`fhirpath.services.Services`)."""

    __slots__ = ("_bundle", "_course", "_plans", "_resource", "_root", "_scope")

    def __init__(self, trial: Trial) -> None:
        # Not the trial itself, whose environment holds this.
        self._scope, self._plans, self._course = trial.scope, trial.plans, trial.course
        self._resource, self._root, self._bundle = trial.resource[1], trial.root[1], trial.bundle

    def member_of(self, value_set: str, node: Node) -> bool | None:
        """Whether one of a node's codes is in a value set."""
        return within(self._scope.membership, value_set, node)

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether a node satisfies a profile; None for a profile that nobody has."""
        plan = self._plans.target(self._scope, profile)
        if plan is None:
            return None
        if not self._plans.is_a(node[0], plan.type):
            return False
        return self._trial().holds(lambda item, at, trial: trial.against(plan, item, at), node, (None, node[0], None))

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether code `a` is `b` or above it."""
        return self._scope.membership.subsumes(system, a, b)

    def resolve(self, reference: str) -> Node | None:
        """The resource that a reference points to."""
        found = self._trial().resolved(reference)
        return None if found is None else (found["resourceType"], found, None)

    def _trial(self) -> Trial:
        root = None if self._root is self._resource else self._root
        trial = Trial(self._scope, self._plans, self._resource, root, self._bundle)
        trial.course = self._course
        return trial
