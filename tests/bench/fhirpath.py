"""What evaluating FHIRPath costs, next to closures that somebody wrote by hand for the same answer.

Both give the same nodes: type, value, and what stands beside a primitive. The best of several short runs, which a busy machine disturbs least.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import FhirPathError, Nodes, compile_expression, paths_of
from fhir_server.fhirpath.compile import Compiler
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.parser import parse
from tests.bench.by_hand import ROWS

NAME = "fhirpath"
PLAIN_US, MOST_TIMES = 1.0, 3.0
_RUNS, _ROUNDS = 60, 2_000
_ENVIRONMENT = "an environment is made for each evaluation, in which work is counted"
_CALLS = "each part is a call of a closure, of some 40 ns; by hand there is one call"
# Why some take more than three times as long as by hand.
REASONS: Mapping[str, str] = {
    "Patient.id.matches('[A-Za-z0-9.-]{1,64}')": f"{_ENVIRONMENT}; what matching can take is worked out before",
    "Observation.subject.where(resolve() is Patient)": _ENVIRONMENT,
    "name.first().family & ', ' & name.first().given.first()": f"{_CALLS}; five collections of one item",
    "(code.count() + subject.count()) > 0": _CALLS,
    "start.hasValue().not() or end.hasValue().not() or (start <= end)": f"{_CALLS}; dates may be of any precision",
    "value.empty() or system.exists()": _CALLS,
    "type!='display' or code.empty()": _CALLS,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """µs per evaluation of one expression: compiled, and by hand. plain: a path and nothing else."""

    expression: str
    compiled: float
    by_hand: float
    plain: bool

    @property
    def good(self) -> bool:
        """Whether the targets are reached."""
        return self.compiled <= MOST_TIMES * self.by_hand and not (self.plain and self.compiled > PLAIN_US)


def figures() -> list[Figure]:
    """Every row, measured. Raises AssertionError when a hand-written closure and the compiler disagree."""
    found = []
    for expression, focus, by_hand, plain, type_ in ROWS:
        compiled = compile_expression(expression, type_ or focus["resourceType"], base_registry())
        assert compiled(focus) == by_hand(focus), expression
        took = _microseconds((compiled, by_hand), focus)
        found.append(Figure(expression, took[0], took[1], plain))
    return found


def _microseconds(runs: tuple[Callable[[Any], Nodes], ...], focus: dict[str, Any]) -> list[float]:
    """Of each closure. They take turns, so that what else the machine does falls on all of them."""
    best = [float("inf")] * len(runs)
    for _ in range(_RUNS):
        for i, run in enumerate(runs):
            begun = perf_counter()
            for _ in range(_ROUNDS):
                run(focus)
            best[i] = min(best[i], perf_counter() - begun)
    return [each / _ROUNDS * 1e6 for each in best]


def lines() -> list[str]:
    """The figures as a table."""
    made = [f"{'µs per evaluation':>20} {'by hand':>8} {'times':>6}  expression"]
    for figure in figures():
        times = figure.compiled / figure.by_hand
        mark = "" if figure.good else f"  MISSED: {REASONS.get(figure.expression, 'it is not known why')}"
        made.append(f"{figure.compiled:20.2f} {figure.by_hand:8.2f} {times:6.1f}  {figure.expression}{mark}")
    return [*made, f"{first_us():20.0f} µs to read and compile one of R4's constraints, once (their mean)"]


def first_us() -> float:
    """µs that the first evaluation of an expression takes before it begins: the mean of R4's constraints."""
    registry = base_registry()
    rows = {(c.expression, s.name) for s in registry.structures.values() for c in s.constraints if s.kind == "resource"}
    paths, begun = paths_of(registry), perf_counter()
    for expression, type_ in rows:
        # A few published ones name elements that the type does not have.
        with suppress(FhirPathError):
            Compiler(paths, FUNCTIONS).whole(parse(expression), frozenset({type_}))
    return (perf_counter() - begun) / len(rows) * 1e6


if __name__ == "__main__":
    print("\n".join(lines()))
