"""What searching by terminology costs: a tenant that uses 20,000 of 350,000 codes asks for branches and value sets.

Each process looks the codes in use up once among the concepts; the first questions are measured apart.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from urllib.parse import quote

from tests.bench.data import transaction
from tests.bench.exchange import Connection
from tests.bench.measure import Cell, Machine
from tests.terminology.importers.generated import Generated

USED = 20_000
SMALL_MS, LARGE_MS, FIRST_MS = 20.0, 50.0, 500.0
_REQUESTS, _FIRST, _PER_TRANSACTION = 60, 6, 500
# machine, name, title, target of the 99th percentile in ms, the path of a request by its number, how many.
MeasureCell = Callable[[Machine, str, str, float, Callable[[int], str], int], Cell]


def cells(
    machine: Machine, made: Generated, url: str, value_sets: dict[str, str], measured: MeasureCell
) -> Iterator[Cell]:
    """Store observations with the codes, then ask one request after another. `value_sets`: their urls by a word."""
    random = Random(13)
    chosen = random.sample(made.codes, USED)
    _store(machine, url, chosen)
    sizes = _sizes(made)
    small = [made.codes[place] for place, size in enumerate(sizes) if 20 <= size <= 500]
    leaves = [made.codes[place] for place, size in enumerate(sizes) if not size]
    large = max(range(1, len(sizes)), key=lambda place: sizes[place])
    asked: list[tuple[str, str, float, Callable[[int], str]]] = [
        ("branch", "a branch of 20 to 500 concepts", SMALL_MS, lambda n: f"below={url}|{small[n * 7 % len(small)]}"),
        ("top", f"a branch of {sizes[large]:,} concepts", LARGE_MS, lambda n: f"below={url}|{made.codes[large]}"),
        ("above", "what is above a code", SMALL_MS, lambda n: f"above={url}|{leaves[n * 7 % len(leaves)]}"),
        *(
            (f"in-{word}", f"a value set: {word}", LARGE_MS, _inside(canonical))
            for word, canonical in value_sets.items()
        ),
        ("not-in", "what is not in a value set", LARGE_MS, lambda n: f"not-in={next(iter(value_sets.values()))}"),
    ]
    first = _path(_inside(value_sets["every"]))
    yield measured(machine, "used-codes-first", "a value set: every, asked first", FIRST_MS, first, _FIRST)
    for name, title, target, query in asked:
        path = _path(query)
        yield measured(machine, f"used-codes-{name}", f"{title}, {USED:,} codes in use", target, path, _REQUESTS)


def _inside(canonical: str) -> Callable[[int], str]:
    return lambda n: f"in={canonical}"


def _path(query: Callable[[int], str]) -> Callable[[int], str]:
    return lambda n: f"Observation?code:{quote(query(n), '=')}&_count=20"


def _store(machine: Machine, url: str, codes: Sequence[str]) -> None:
    connection = Connection(machine.target.address)
    for start in range(0, len(codes), _PER_TRANSACTION):
        resources = [
            {"resourceType": "Observation", "id": f"used-{code}", "status": "final", "effectiveDateTime": "2024-05-01",
             "code": {"coding": [{"system": url, "code": code}]}}
            for code in codes[start : start + _PER_TRANSACTION]
        ]  # fmt: skip
        reply = connection.exchange(machine.target.request("POST", "", transaction(resources)))
        if reply.status != 200:
            raise RuntimeError(f"storing observations: {reply.status} {reply.body[:300]!r}")
    connection.close()


def _sizes(made: Generated) -> list[int]:
    """About how many concepts are below each: by first parents alone."""
    sizes = [0] * len(made.codes)
    for place in range(len(made.codes) - 1, 0, -1):
        sizes[made.parents[place][0]] += sizes[place] + 1
    return sizes
