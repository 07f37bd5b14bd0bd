"""Validation without a server: the base of R4 per resource, a profile per resource, a warm bundle of 100, the first use.

The data is `tests/validation/profiles/clinic.py`. CPU time of one process, the median of many runs; it grows when others
share the processor's cores.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from fhir_server.core.resource_json import decode
from fhir_server.validation.extensions import extension_issues
from fhir_server.validation.profile import profile_issues
from fhir_server.validation.run import check, faults, validate
from tests.bench.measure import Cell
from tests.shared_data import SHARED, examples, shared_file
from tests.validation.profiles import clinic
from tests.validation.profiles.kit import CORE

NAME = "profiles"
_RUNS, _EACH = 200, 20
_BUNDLE = 100
_TYPICAL = frozenset({"Observation-f001.json", "Encounter-f201.json", "Claim-100156.json", "Bundle-report.json"})


def _usual(work: Callable[[], Any], each: int, runs: int) -> float:
    """Milliseconds of CPU that one call takes: the median of the runs."""
    took = []
    for _ in range(runs):
        began = time.thread_time()
        for _ in range(each):
            work()
        took.append((time.thread_time() - began) / each)
    return median(took) * 1000


def cells() -> list[Cell]:
    """One cell a row. Times stand in p50; a title says when a target is missed."""
    scope = clinic.scope()
    patients = [clinic.patient(n) for n in range(_BUNDLE)]
    first = patients[0]
    made = [_cell("first use of a profile and its extensions", _first, 1, 20)]
    assert [issue for issue in check(scope.registry, first) if issue.severity == "error"] == []
    assert profile_issues(scope, first, clinic.PATIENT) == []

    def whole() -> None:
        for each in patients:
            validate(scope.registry, each)
            profile_issues(scope, each, clinic.PATIENT)

    if SHARED is not None:
        example = decode(shared_file("fhirpath/patient-example.json").read_text())
        made.append(_cell("base, HL7's patient-example", lambda: validate(scope.registry, example), target=0.030))
        pressure = decode(shared_file("fhirpath/observation-example.json").read_text())
        made.append(_cell("base, HL7's observation-example", lambda: validate(scope.registry, pressure)))
        for name, text in examples():
            if name in _TYPICAL:
                made.append(_cell(f"base, R4's {name}", partial(faults, scope.registry, decode(text))))
        made.append(_cell("profile, R4's bodyweight", lambda: profile_issues(scope, pressure, f"{CORE}bodyweight")))
    made.append(_cell("base, a Patient like US Core's", lambda: validate(scope.registry, first)))
    made.append(_cell("profile, a Patient like US Core's", lambda: profile_issues(scope, first, clinic.PATIENT)))
    made.append(_cell("every extension of it by its definition", lambda: extension_issues(scope, first)))
    made.append(_cell("100 of them, base and profile", whole, 1, 30, target=100))
    return made


def _first() -> None:
    scope = clinic.scope()
    profile_issues(scope, clinic.patient(), clinic.PATIENT)


def _cell(title: str, work: Callable[[], Any], each: int = _EACH, runs: int = _RUNS, target: float = 0) -> Cell:
    work()
    took = _usual(work, each, runs)
    made = Cell(NAME, title, 1, 1000 / took, took, took, took)
    made.cpu = {"validation": took}
    if target and took > target:
        made.title += f" (over {target} ms)"
    return made


if __name__ == "__main__":
    for cell in cells():
        print(f"{cell.title:50} {cell.p50 * 1000:12.1f} us")
