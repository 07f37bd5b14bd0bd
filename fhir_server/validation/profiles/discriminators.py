"""Discriminators compiled to tests that tell whether an item belongs to a slice.

What a test compares with stands in the slice's own elements: a fixed value, a pattern, a required binding, types,
profiles, or whether something must be there. https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fhir_server.conformance.structures import is_a
from fhir_server.core.errors import Unprocessable
from fhir_server.fhirpath import FhirPathError, Node, compile_node_expression
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.syntax import Call, Literal, Member, Tree, TypeTest, Variable, dotted
from fhir_server.validation.profiles.coded import within
from fhir_server.validation.profiles.tree import Branch
from fhir_server.validation.profiles.trial import Trial
from fhir_server.validation.profiles.values import matcher, shown
from fhir_server.validation.walk import Path

if TYPE_CHECKING:
    from fhir_server.validation.profiles.compiler import Compiler

# Whether an item is what a slice is about.
Belongs = Callable[[Node, Path, Trial], bool]
# A step of a discriminator's path: ("name", text), ("extension", url), ("resolve", ""), ("type", name).
Step = tuple[str, str]


def belongs(
    compiler: "Compiler", slice_: Branch, discriminator: dict[str, Any], type_: str | None, rule: str
) -> Belongs:
    """The test of one discriminator. `type_`: of the items, None when they have several. Raises `Unprocessable` when
    the slice says nothing that could be compared at the discriminator's path."""
    kind, path = discriminator.get("type", "value"), discriminator.get("path", "$this")
    try:
        steps = list(_steps(parse(path)))
        places = _destinations(compiler, [slice_], steps)
        select = _selection(compiler, path, steps, type_)
    except FhirPathError as error:
        raise Unprocessable(f"The discriminator '{path}' of {rule} cannot be followed: {error}") from None
    build = {"value": _by_value, "pattern": _by_value, "exists": _by_existence}
    build |= {"type": _by_type, "profile": _by_profile}
    if kind not in build:
        raise Unprocessable(f"The discriminator of {rule} has type '{kind}', which R4 does not have.")
    made = build[kind](compiler, places, select)
    if made is None:
        text = f"The slice {rule} says nothing at '{path}' by which its items could be told ({kind})."
        raise Unprocessable(text, expression="StructureDefinition.snapshot.element.slicing.discriminator")
    if kind == "type" or ("resolve", "") not in steps:
        return made
    # Of what is not at hand only the type is known.
    return _of_what_is_there(made, _selection(compiler, *_before_resolve(path, steps), type_))


def told_by(compiler: "Compiler", slice_: Branch, discriminators: Sequence[dict[str, Any]]) -> str:
    """The values that tell a slice's items, for sentences: `system urn:x`; "" where no plain value does."""
    said = []
    for each in discriminators:
        path = each.get("path", "$this")
        for place in _destinations(compiler, [slice_], list(_steps(parse(path)))):
            wanted = place.value("fixed") or place.value("pattern")
            if wanted is not None and wanted[1] is not None:
                said.append(shown(wanted[1]) if path == "$this" else f"{path} {shown(wanted[1])}")
    return ", ".join(dict.fromkeys(said))


class Untold(Exception):
    """Whether an item belongs to a slice depends on a resource that is not at hand."""


def _before_resolve(path: str, steps: Sequence[Step]) -> tuple[str, Sequence[Step]]:
    """The part of a path that leads to the first reference to follow."""
    return path.partition("resolve()")[0].rstrip(".") or "$this", steps[: steps.index(("resolve", ""))]


def _of_what_is_there(test: Belongs, references: "Select") -> Belongs:
    def checked(node: Node, path: Path, trial: Trial) -> bool:
        for each in references(node, trial):
            text = each[1].get("reference") if isinstance(each[1], dict) else each[1]
            if isinstance(text, str) and trial.resolved(text) is None:
                raise Untold
        return test(node, path, trial)

    return checked


def _steps(tree: Tree) -> Iterator[Step]:
    match tree:
        case Variable(name="$this"):
            return
        case Member(source=source, name=name):
            yield from _steps(source) if source else ()
            yield "name", name
        case Call(source=source, name="extension", arguments=(Literal(value=url),)):
            yield from _steps(source) if source else ()
            yield "extension", url
        case Call(source=source, name="resolve", arguments=()):
            yield from _steps(source) if source else ()
            yield "resolve", ""
        case Call(source=source, name="ofType" | "as", arguments=(type_,)):
            yield from _steps(source) if source else ()
            yield "type", dotted(type_) or ""
        case TypeTest(operator="as", operand=operand, type=name):
            yield from _steps(operand)
            yield "type", name
        case _:
            raise FhirPathError("a discriminator is made of element names, extension(url), resolve() and ofType(type)")


def _destinations(compiler: "Compiler", branches: Sequence[Branch], steps: Sequence[Step]) -> list[Branch]:
    """The elements of a profile at the end of a path, in the slices on the way, too."""
    found = list(branches)
    for kind, text in steps:
        found = [each for branch in found for each in _next(compiler, branch, kind, text)]
    return found


def _next(compiler: "Compiler", branch: Branch, kind: str, text: str) -> Iterator[Branch]:
    if kind == "resolve":
        for entry in branch.types:
            for profile in entry.get("targetProfile", ()):
                yield from compiler.root(profile)
    elif kind == "type":
        yield from (each for each in branch.with_slices() if not each.types or _has_type(each, text))
    else:
        own = [branch.parts[name] for name in _names(kind, text) if name in branch.parts]
        if not own:
            own = [root.parts[n] for root in _profiled(compiler, branch) for n in _names(kind, text) if n in root.parts]
        for part in own:
            for each in part.with_slices():
                if kind != "extension" or text in compiler.extension_urls(each):
                    yield each


def _names(kind: str, text: str) -> tuple[str, ...]:
    return ("extension", "modifierExtension") if kind == "extension" else (text, f"{text}[x]")


def _profiled(compiler: "Compiler", branch: Branch) -> Iterator[Branch]:
    for entry in branch.types:
        for profile in entry.get("profile", ()):
            yield from compiler.root(profile)


def _has_type(branch: Branch, name: str) -> bool:
    return any(entry.get("code") == name for entry in branch.types)


Select = Callable[[Node, Trial], "list[Node]"]


def _selection(compiler: "Compiler", path: str, steps: Sequence[Step], type_: str | None) -> Select:
    if not steps:
        return lambda node, trial: [node]
    known = type_ if type_ in compiler.registry.structures and ("resolve", "") not in steps else None
    compiled, _ = compile_node_expression(path, known, compiler.registry)
    run = compiled.run

    def select(node: Node, trial: Trial) -> list[Node]:
        try:
            return run([node], trial.env)
        except FhirPathError:
            return []

    return select


Build = Callable[["Compiler", list[Branch], Select], "Belongs | None"]


def _by_value(compiler: "Compiler", places: list[Branch], select: Select) -> Belongs | None:
    tests = [test for place in places if (test := _value_test(place)) is not None]
    if not tests:
        tests = [test for place in places if (test := _content_test(compiler, place)) is not None]
    if not tests:
        return _by_existence(compiler, places, select)
    return lambda node, path, trial: any(test(each, path, trial) for each in select(node, trial) for test in tests)


def _value_test(place: Branch) -> Belongs | None:
    matches = matcher(place)
    if matches is not None:
        return lambda node, path, trial: matches(node)
    binding = place.element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        value_set = binding["valueSet"]
        return lambda node, path, trial: within(trial.scope.membership, value_set, node) is True
    return None


def _content_test(compiler: "Compiler", place: Branch) -> Belongs | None:
    """The values that an element's children have to have, where it has none itself."""
    if not any(_says_value(each) for part in place.parts.values() for each in part.with_slices()):
        return None
    checks = {type_: compiler.content(place, type_) for type_ in compiler.type_names(place)}

    def test(node: Node, path: Path, trial: Trial) -> bool:
        check = checks.get(node[0])
        return check is not None and trial.holds(check, node, path)

    return test


def _says_value(branch: Branch) -> bool:
    return _value_test(branch) is not None or any(
        _says_value(each) for part in branch.parts.values() for each in part.with_slices()
    )


def _by_existence(compiler: "Compiler", places: list[Branch], select: Select) -> Belongs | None:
    if any(place.max == 0 for place in places):
        return lambda node, path, trial: not select(node, trial)
    if any(place.min > 0 for place in places):
        return lambda node, path, trial: bool(select(node, trial))
    return None


def _by_type(compiler: "Compiler", places: list[Branch], select: Select) -> Belongs | None:
    names = {name for place in places for name in compiler.type_names(place)}
    if not names:
        return None
    names |= {name for name in ("Resource", "DomainResource") if name in names}
    structures = compiler.registry.structures
    return lambda node, path, trial: any(
        each[0] in names or any(is_a(structures, each[0], name) for name in names) for each in select(node, trial)
    )


def _by_profile(compiler: "Compiler", places: list[Branch], select: Select) -> Belongs | None:
    profiles = [profile for place in places for entry in place.types for profile in entry.get("profile", ())]
    # At the end of `resolve()` stand the roots of the profiles themselves.
    profiles += [url for place in places if (url := compiler.url_of(place))]
    if not profiles:
        return None

    def test(node: Node, path: Path, trial: Trial) -> bool:
        return any(_conforms(each, profile, path, trial) for each in select(node, trial) for profile in profiles)

    return test


def _conforms(node: Node, profile: str, path: Path, trial: Trial) -> bool:
    plan = trial.plans.target(trial.scope, profile)
    if plan is None or not trial.plans.is_a(node[0], plan.type):
        return False
    inner = trial.within(node[1], contained=False) if isinstance(node[1], dict) and "resourceType" in node[1] else trial
    return plan.base or inner.holds(lambda item, place, at: at.against(plan, item, place), node, path)
