"""The invariants of a profile, beyond those that R4 has at the same place.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Constraint, Element
from fhir_server.fhirpath import FhirPathError, Node
from fhir_server.fhirpath.errors import CannotTell
from fhir_server.validation.invariants import compile_constraint
from fhir_server.validation.profiles.references import CORE
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

# What R4 says of everything and checks with the base, whatever words a snapshot repeats it in.
_GENERAL = frozenset(
    {"ele-1", "ext-1", "dom-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ref-1", "txt-1", "txt-2"}
)

# "A rule that implementers may choose to enforce": here it warns.
_BEST_PRACTICE = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice"

Test = Callable[[list[Node], Any], "bool | None"]


def constraint_checks(
    registry: Registry, rows: Sequence[Mapping[str, Any]], type_: str, known: Mapping[str, str]
) -> list[Check]:
    """One check for all invariants of an element on items of one type. `known`: expressions by key that are evaluated
    already at this place. One that cannot be read is told of as information where it would apply."""
    tests, unread = [], []
    for row in rows:
        if not _is_news(row, known):
            continue
        constraint = Constraint(row["key"], _severity(row), row.get("human", ""), row["expression"])
        found = compile_constraint(registry, type_, constraint)
        if found is None:
            unread.append(row["key"])
        else:
            tests.append(found)
    checks = [_check(tests)] if tests else []
    return [*checks, _told(unread)] if unread else checks


def known_constraints(registry: Registry, type_: str, elements: Sequence[Element]) -> dict[str, str]:
    """The expressions of R4's invariants by key, on an element of a type."""
    own = (constraint for element in elements for constraint in element.constraints)
    return {c.key: c.expression for c in (*_of_type(registry, type_), *own)}


def _of_type(registry: Registry, type_: str) -> Iterator[Constraint]:
    structure = registry.structures.get(type_)
    while structure is not None:
        yield from structure.constraints
        structure = registry.structures.get(structure.base or "")


def _severity(row: Mapping[str, Any]) -> str:
    said: Mapping[str, Any] = next((each for each in row.get("extension", ()) if each["url"] == _BEST_PRACTICE), {})
    advises = said.get("valueBoolean", "valueCodeableConcept" in said)
    return "warning" if advises else str(row.get("severity", "error"))


def _is_news(row: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    expression, key = row.get("expression"), row["key"]
    if not expression or key in _GENERAL or (key in known and str(row.get("source", "")).startswith(CORE)):
        return False
    return bool(known.get(key) != expression)


def _check(tests: Sequence[tuple[frozenset[str] | None, Test, Constraint]]) -> Check:
    def check(node: Node, path: Path, trial: Trial) -> None:
        for gate, test, constraint in tests:
            if gate is not None and isinstance(node[1], dict) and gate.isdisjoint(node[1]):
                continue
            try:
                # `%context` is the element; and each evaluation has a budget of its own.
                trial.env.context = focus = [node]
                held = test(focus, trial.env)
            except CannotTell as error:
                text = f"Whether the invariant {constraint.key} holds cannot be told here: {error}"
                trial.fail(path, "not-supported", text, constraint.key, "information")
                continue
            except FhirPathError as error:
                text = f"{constraint.human} ({constraint.key}: {error})"
                trial.fail(path, "invariant", text, constraint.key, constraint.severity)
                continue
            if held is False:
                text = f"{constraint.human} ({constraint.key})"
                trial.fail(path, "invariant", text, constraint.key, constraint.severity)

    return check


def _told(keys: Sequence[str]) -> Check:
    def check(node: Node, path: Path, trial: Trial) -> None:
        for key in keys:
            text = f"The invariant {key} cannot be evaluated here: its expression cannot be read on {node[0]}."
            trial.fail(path, "not-supported", text, key, "information")

    return check
