"""Slices: which item belongs to which, how many there are, in what order, and what else may stand beside them.

https://hl7.org/fhir/R4/profiling.html#slicing
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import Node, allowance
from fhir_server.validation.issues import times
from fhir_server.validation.profiles.discriminators import Belongs, Untold, belongs, told_by
from fhir_server.validation.profiles.tree import Branch
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

if TYPE_CHECKING:
    from fhir_server.validation.profiles.compiler import Compiler

Found = Sequence[tuple[Node, Path]]
# What is done with the items of a sliced element: (items, place of the element, trial).
Sort = Callable[[Found, Path, Trial], None]

DEFAULT = "@default"
# What telling whether an item belongs to a slice takes, in the units of the allowance.
_COMPARISON = 20
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class _Slice:
    """shown: its name, and what its items are told by. contents: the checks of its items by type. sort: its
    re-slices."""

    shown: str
    rule: str
    min: int
    max: int | None
    belongs: Belongs | None
    contents: Mapping[str, Check | None]
    sort: Sort | None


def slicing(compiler: "Compiler", branch: Branch, types: Sequence[str]) -> Sort | None:
    """The check of an element's slices, None when it has none. `types`: FHIR types of its items."""
    if not branch.slices:
        return None
    rows = [row for row in branch.slices if row.slice and row.slice.rpartition("/")[2] != DEFAULT]
    others = [row for row in branch.slices if row not in rows]
    said = branch.element.get("slicing") or {}
    slices = [_slice(compiler, branch, row, types, said) for row in rows]
    rest = _slice(compiler, branch, others[0], types, None) if others else None
    assign = _by_url(compiler, rows) or _by_test(slices)
    ordered, rules = bool(said.get("ordered")), said.get("rules", "open")
    sort = _sort(slices, rest, assign, ordered, rules, compiler.rule(branch), branch.name, compiler.owner)
    urls = [url for row in rows for url in compiler.extension_urls(row)]
    return _with_parts(sort, urls, compiler) if compiler.is_extension and branch.name == "extension" else sort


def _with_parts(sort: Sort, urls: Sequence[str], compiler: "Compiler") -> Sort:
    """Parts of an extension whose url is a name mean only what its definition says."""
    rule = f"{compiler.url}#Extension.extension"
    text = f"There is no such part in {compiler.owner}; there are: {', '.join(urls)}."

    def checked(found: Found, place: Path, trial: Trial) -> None:
        told = []
        for node, path in found:
            url = node[1].get("url", "")
            if ":" in url or url in urls:
                told.append((node, path))
            else:
                trial.fail((path, "url", None), "extension", text, rule)
        sort(told, place, trial)

    return checked


def _slice(
    compiler: "Compiler", branch: Branch, row: Branch, types: Sequence[str], said: Mapping[str, Any] | None
) -> _Slice:
    rule = compiler.rule(row)
    named = [name for name in compiler.type_names(row) if name in types]
    contents = {type_: compiler.content(row, type_, branch) for type_ in named or types}
    test: Belongs | None = None
    known = ", ".join(sorted(compiler.extension_urls(row))) if _is_extension(branch) else ""
    if said is not None and not _is_extension(branch):
        discriminators = said.get("discriminator") or _implied(branch)
        only = types[0] if len(types) == 1 else None
        tests = [belongs(compiler, row, each, only, rule) for each in discriminators]
        test = _all(tests) if tests else _conforming(contents)
        known = told_by(compiler, row, discriminators)
    shown = f"'{row.slice or ''}' ({known})" if known else f"'{row.slice or ''}'"
    return _Slice(shown, rule, row.min, row.max, test, contents, slicing(compiler, row, named or types))


def _is_extension(branch: Branch) -> bool:
    said = branch.element.get("slicing", {}).get("discriminator")
    by_url = said is None or [(each.get("type"), each.get("path")) for each in said] == [("value", "url")]
    return branch.name in ("extension", "modifierExtension") and by_url


def _implied(branch: Branch) -> list[dict[str, Any]]:
    return [{"type": "type", "path": "$this"}] if branch.name.endswith("[x]") else []


def _all(tests: Sequence[Belongs]) -> Belongs:
    if len(tests) == 1:
        return tests[0]
    return lambda node, path, trial: all(test(node, path, trial) for test in tests)


def _conforming(contents: Mapping[str, Check | None]) -> Belongs:
    """Without a discriminator an item belongs to the slice that it satisfies."""

    def test(node: Node, path: Path, trial: Trial) -> bool:
        check = contents.get(node[0])
        return check is None or trial.holds(check, node, path)

    return test


Assign = Callable[[Node, Path, Trial], "int | None"]


def _by_url(compiler: "Compiler", rows: Sequence[Branch]) -> Assign | None:
    if not rows or rows[0].name not in ("extension", "modifierExtension"):
        return None
    urls = [compiler.extension_urls(row) for row in rows]
    if not all(urls):
        return None
    table = {url: i for i, each in reversed(list(enumerate(urls))) for url in each}
    return lambda node, path, trial: table.get(node[1].get("url"))


def _by_test(slices: Sequence[_Slice]) -> Assign:
    tests = [each.belongs for each in slices]

    def assign(node: Node, path: Path, trial: Trial) -> int | None:
        allowance.take(len(tests) * _COMPARISON, 0.0)
        for i, test in enumerate(tests):
            if test is not None and test(node, path, trial):
                return i
        return None

    return assign


def _sort(
    slices: Sequence[_Slice], rest: _Slice | None, assign: Assign, ordered: bool, rules: str, rule: str, name: str,
    owner: str,
) -> Sort:  # fmt: skip
    names = ", ".join(each.shown for each in slices[:_MOST_NAMED]) + (", …" if len(slices) > _MOST_NAMED else "")

    def sort(found: Found, place: Path, trial: Trial) -> None:
        groups: list[list[tuple[Node, Path]]] = [[] for _ in slices]
        others: list[tuple[Node, Path]] = []
        last, untold = -1, 0
        for node, path in found:
            try:
                i = assign(node, path, trial)
            except Untold:
                untold += 1
                continue
            if i is None:
                others.append((node, path))
                if rules == "closed" and rest is None:
                    text = f"This item is of none of the slices of '{name}' in {owner}: {names}."
                    trial.fail(path, "structure", text, rule)
                continue
            if others and rules == "openAtEnd":
                text = f"Items that are of no slice of '{name}' stand at the end in {owner}."
                trial.fail(others[-1][1], "structure", text, rule)
            if ordered and i < last:
                text = f"The slices of '{name}' stand in this order in {owner}: {names}."
                trial.fail(path, "structure", text, rule)
            last = max(last, i)
            groups[i].append((node, path))
        for each, group in zip(slices, groups, strict=True):
            _check_group(each, group, untold, place, trial, name, owner)
        if rest is not None:
            _check_group(rest, others, untold, place, trial, name, owner)

    return sort


def _check_group(each: _Slice, group: Found, untold: int, place: Path, trial: Trial, name: str, owner: str) -> None:
    """`untold`: how many items there are of which it cannot be told whether they belong to the slice."""
    count = len(group)
    if count < each.min <= count + untold:
        text = f"Whether the slice {each.shown} of '{name}' is there depends on what cannot be read here."
        trial.fail(place, "not-supported", text, each.rule, "information")
    elif count < each.min:
        but = "is missing" if not count else f"is there {times(count)}"
        text = f"The slice {each.shown} of '{name}' must be there at least {times(each.min)} in {owner}, but {but}."
        trial.fail(place, "required", text, each.rule)
    if each.max is not None and count > each.max:
        often = f"can be there {times(each.max)} at most" if each.max else "must not be there"
        text = f"The slice {each.shown} of '{name}' {often} in {owner}, but is there {times(count)}."
        trial.fail(group[each.max][1], "structure", text, each.rule)
    for node, path in group:
        check = each.contents.get(node[0])
        if check is not None:
            check(node, path, trial)
    if each.sort is not None:
        each.sort(group, place, trial)
