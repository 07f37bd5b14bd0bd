"""What deciding who may see what costs: the same requests with a system token and with one scoped to a patient.

Both play on one patient's record in the same run, so the only difference is the authorization: with `system/*.cruds`
every row of the tenant may be seen, with `patient/*.rs` only that record, which is a condition in every statement.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.bench import measure
from tests.bench.data import CODES, Site, ident
from tests.bench.measure import Cell, Machine
from tests.bench.workloads import Call, Want, Workload

NAME = "scoped"
PATIENT = 7
READ_TARGET, SEARCH_TARGET = 0.15, 0.10
_SYSTEM, _PATIENT = "system", "patient"


def _reads(site: Site) -> Iterator[Call]:
    me = ident("Patient", PATIENT)
    for number in range(13):
        other = ident("Observation", PATIENT * 13 + number)
        yield Call("GET", f"Patient/{me}", Want(texts=(me,)))
        yield Call("GET", f"Observation/{other}", Want(texts=(other, me)))


def _searches(site: Site) -> Iterator[Call]:
    me = ident("Patient", PATIENT)
    for code in CODES:
        want = Want(entries={"Observation": 4}, texts=(me, code))
        yield Call("GET", f"Observation?patient=Patient/{me}&code=http%3A%2F%2Floinc.org%7C{code}", want)


def _includes(site: Site) -> Iterator[Call]:
    me = ident("Patient", PATIENT)
    want = Want(entries={"Observation": 13, "Patient": 1}, texts=(me,))
    yield Call("GET", f"Observation?patient=Patient/{me}&_include=Observation:subject", want)


_KINDS: tuple[tuple[str, str, Callable[[Site], Iterator[Call]]], ...] = (
    ("read", "read by id", _reads),
    ("code", "search patient + code", _searches),
    ("include", "search with _include", _includes),
)


def cells(machine: Machine, site: Site, token: Callable[[str, str], str]) -> Iterator[Cell]:
    """The cells in pairs. `token(scope, patient id)` makes an access token."""
    mine = replace(machine.target, token=token("patient/*.rs", ident("Patient", PATIENT)))
    for name, title, calls in _KINDS:
        for who, target in ((_SYSTEM, machine.target), (_PATIENT, mine)):
            workload = Workload(f"{NAME}-{name}-{who}", f"{title}, {who} token", calls)
            yield measure.cell(replace(machine, target=target), workload, site)


def summary(made: list[Cell]) -> list[str]:
    """How much more a request costs with the patient's token."""
    named = {cell.name: cell for cell in made if not cell.wrong and cell.cost}
    lines = []
    for name, title, _ in _KINDS:
        whole, own = named.get(f"{NAME}-{name}-{_SYSTEM}"), named.get(f"{NAME}-{name}-{_PATIENT}")
        if whole is None or own is None or not whole.cost or not own.cost:
            continue
        more, target = own.cost / whole.cost - 1, READ_TARGET if name == "read" else SEARCH_TARGET
        mark = " ok " if more <= target else "MISS"
        lines.append(f"{mark} {title}: the patient's token costs {more:+.1%} CPU (target {target:+.0%})")
    return lines
