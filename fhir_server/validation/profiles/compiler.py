"""One profile's elements compiled to checks. What R4's base says as well is left out: it was checked before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.snapshot_sources import Find
from fhir_server.conformance.structures import Element
from fhir_server.core.errors import Unprocessable
from fhir_server.fhirpath import Node
from fhir_server.validation.issues import times
from fhir_server.validation.profiles import types
from fhir_server.validation.profiles.bindings import additional, binding_check
from fhir_server.validation.profiles.constraints import constraint_checks, known_constraints
from fhir_server.validation.profiles.members import collector, elements_of, properties
from fhir_server.validation.profiles.slicing import Sort, slicing
from fhir_server.validation.profiles.tree import Branch, read
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.profiles.values import value_checks
from fhir_server.validation.walk import Path

# What looks at all items of an element in an object: (object, its place, trial).
Member = Callable[[Mapping[str, Any], Path, Trial], None]
_PLAIN = ("BackboneElement", "Element")


class Compiler:
    """Lives while one profile is compiled: its closures keep nothing of a tenant. `find` is all that is asked of it.

    owner: how sentences name the profile.
    """

    def __init__(
        self, registry: Registry, find: Find, url: str, owner: str, root: Branch, known: Mapping[str, Branch]
    ) -> None:
        self.registry = registry
        self.owner = owner
        self._find = find
        self.url = url
        self.is_extension = root.name == "Extension"
        self._known = known
        self._roots: dict[int, str] = {id(root): url}
        self._others: dict[str, Branch | None] = {}
        self._bases: dict[str, Sequence[Element]] = {}
        self._shared: dict[tuple[str, str], list[Check | None]] = {}

    def rule(self, branch: Branch) -> str:
        """The key of what an element says."""
        return f"{self.url}#{branch.id}"

    def root(self, profile: str) -> Iterator[Branch]:
        """The elements of another profile, when it is known."""
        if profile not in self._others:
            others = read(self._find, profile)
            self._others[profile] = others[0] if others else None
        found = self._others[profile]
        if found is not None:
            self._roots[id(found)] = profile
            yield found

    def url_of(self, branch: Branch) -> str | None:
        """The canonical of the profile that this is the root of."""
        return self._roots.get(id(branch))

    def extension_urls(self, branch: Branch) -> frozenset[str]:
        """The urls of the extensions that a slice is about."""
        part = branch.parts.get("url")
        fixed = part.value("fixed") if part else None
        if fixed is not None:
            return frozenset({fixed[1]})
        return frozenset(p.partition("|")[0] for entry in branch.types for p in entry.get("profile", ()))

    def type_names(self, branch: Branch) -> list[str]:
        """The FHIR types of an element, a backbone element by its path; of a root its own name."""
        if "." not in branch.id:
            return [branch.name]
        codes = [entry.get("code", "") for entry in branch.types]
        return [branch.element["path"] if code in _PLAIN else code for code in codes]

    def content(self, branch: Branch, type_: str, beside: Branch | None = None) -> Check | None:
        """The check of one item of an element that has this type; None when there is nothing to check. `beside`: the
        element that this one slices, whose check every item passes as well."""
        said = branch.element.get("contentReference")
        if said and not branch.parts:
            return self._referred(said.rpartition("#")[2], type_)
        checks = value_checks(branch, self.rule(branch), self.owner, beside)
        checks += self._binding(branch, type_, beside)
        checks += self._constraints(branch, type_, beside)
        checks += types.type_checks(self, branch, type_, beside)
        children = self._children(branch, type_, beside)
        return joined([*checks, children] if children else checks)

    def _referred(self, id_: str, type_: str) -> Check | None:
        target = self._known.get(id_)
        if target is None:
            return None
        cell = self._shared.get((id_, type_))
        if cell is None:
            cell = self._shared[id_, type_] = []
            cell.append(self.content(target, type_))

        def check(node: Node, path: Path, trial: Trial) -> None:
            if cell[0] is not None:
                cell[0](node, path, trial)

        return check

    def _binding(self, branch: Branch, type_: str, beside: Branch | None) -> list[Check]:
        binding = branch.element.get("binding")
        if not binding or (beside is not None and beside.element.get("binding") == binding):
            return []
        more = (self._bound(each, branch, type_, own=True) for each in additional(binding))
        return [made for made in (self._strongest(binding, branch, type_), *more) if made]

    def _bound(self, binding: Mapping[str, Any], branch: Branch, type_: str, *, own: bool) -> Check | None:
        return binding_check(binding, branch.name, type_, self.rule(branch), self.owner, own=own)

    def _strongest(self, binding: Mapping[str, Any], branch: Branch, type_: str) -> Check | None:
        """The check of an element's one binding, unless R4's own says the same."""
        bases = [each for each in self.base(branch) if each.type == type_ and each.binding]
        said = (binding.get("strength"), str(binding.get("valueSet", "")).partition("|")[0])
        own = not any(e.binding and (e.binding[0], e.binding[1].partition("|")[0]) == said for e in bases)
        if not own and (said[0] == "preferred" or (said[0] == "required" and self._is_listed(said[1]))):
            return None
        return self._bound(binding, branch, type_, own=own)

    def _is_listed(self, value_set: str) -> bool:
        return self.registry.codes(value_set) is not None

    def _constraints(self, branch: Branch, type_: str, beside: Branch | None) -> list[Check]:
        rows = branch.element.get("constraint", ())
        if type_ not in self.registry.structures or not rows:
            return []
        known = known_constraints(self.registry, type_, self.base(branch))
        if beside is not None:
            known |= {row["key"]: row.get("expression", "") for row in beside.element.get("constraint", ())}
        return constraint_checks(self.registry, rows, type_, known)

    def base(self, branch: Branch) -> Sequence[Element]:
        """What R4 says of the element."""
        return self._bases.get(branch.id, ())

    def _children(self, branch: Branch, type_: str, beside: Branch | None) -> Check | None:
        required: list[Member] = []
        optional: dict[str, Member] = {}
        for part in branch.parts.values():
            made = self._member(part, type_, beside.parts.get(part.name) if beside else None)
            if made is not None:
                member, names, always = made
                required += [member] if always else []
                optional |= {} if always else dict.fromkeys(names, member)
        if not required and not optional:
            return None

        def check(node: Node, path: Path, trial: Trial) -> None:
            owner = node[1] if type(node[1]) is dict else node[2] or {}
            for member in required:
                member(owner, path, trial)
            for key in owner:
                found = optional.get(key)
                if found is not None and not (key[0] == "_" and key[1:] in owner):
                    found(owner, path, trial)

        return check

    def _member(
        self, part: Branch, owner_type: str, beside: Branch | None
    ) -> tuple[Member, frozenset[str], bool] | None:
        structure = self.registry.structures.get(owner_type)
        elements = elements_of(structure, part.name) if structure else []
        if structure is None or not elements:
            if part.name == "value" and structure and structure.kind == "primitive-type":
                return None
            text = f"The profile {self.url} names '{part.name}', which {owner_type} does not have."
            raise Unprocessable(text, expression=f"StructureDefinition.snapshot.element.where(id='{part.id}')")
        self._bases |= {each.id: elements for each in part.with_slices()}
        minimum, maximum = _bounds(part, elements[0], beside)
        narrowed = types.narrowed(part, elements)
        allowed = [e.type for e in elements if narrowed is None or e.name in narrowed]
        checks = {each: self.content(part, each, beside) for each in dict.fromkeys(allowed)}
        sort = slicing(self, part, allowed)
        refused = types.refusal(part, elements, narrowed, self.rule(part), self.owner)
        if not (minimum or maximum is not None or sort or refused or any(checks.values())):
            return None
        always = minimum > 0 or any(each.min for each in part.slices)
        member = self._looks_at(part, elements, (minimum, maximum), checks, sort, refused)
        return member, properties(self.registry, elements), always

    def _looks_at(
        self, part: Branch, elements: Sequence[Element], bounds: tuple[int, int | None],
        checks: Mapping[str, Check | None], sort: Sort | None, refused: types.Refuse | None,
    ) -> Member:  # fmt: skip
        collect = collector(self.registry, elements)
        minimum, maximum = bounds
        step = elements[0].choice or elements[0].name
        rule, name, owner = self.rule(part), part.name, self.owner
        inline = self.registry.structures[elements[0].type].kind == "resource"
        only = next(iter(checks.values()), None) if len(checks) == 1 else None
        varied = not inline and len(checks) > 1

        def member(value: Mapping[str, Any], path: Path, trial: Trial) -> None:
            found = collect(value, path)
            if len(found) < minimum:
                trial.fail((path, step, None), "required", _too_few(name, minimum, len(found), owner), rule)
            elif maximum is not None and len(found) > maximum:
                trial.fail((path, step, None), "structure", _too_many(name, maximum, len(found), owner), rule)
            if refused is not None:
                found = [(node, at) for node, at in found if not refused(node, at, trial)]
            for node, at in found:
                check = checks.get(node[0]) if varied else only
                if check is not None:
                    check(node, at, trial)
            if sort is not None:
                sort(found, (path, step, None), trial)

        return member


def _bounds(part: Branch, base: Element, beside: Branch | None) -> tuple[int, int | None]:
    """Least and greatest number beyond what is checked already: 0 and None where nothing is."""
    minimum = part.min if part.min > base.min else 0
    maximum = part.max if part.max is not None and (base.max is None or part.max < base.max) else None
    if beside is not None:
        minimum = minimum if part.min > beside.min else 0
        maximum = None if maximum == beside.max else maximum
    return minimum, maximum


def _too_few(name: str, minimum: int, count: int, owner: str) -> str:
    but = "is missing" if not count else f"is there {times(count)}"
    return f"'{name}' must be there at least {times(minimum)} in {owner}, but {but}."


def _too_many(name: str, maximum: int, count: int, owner: str) -> str:
    if maximum == 0:
        return f"'{name}' must not be there in {owner}."
    return f"'{name}' can be there {times(maximum)} at most in {owner}, but is there {count} times."


def joined(checks: list[Check]) -> Check | None:
    """One check that makes all of these; None for none."""
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(node: Node, path: Path, trial: Trial) -> None:
        for each in checks:
            each(node, path, trial)

    return check
