"""The workloads: which requests, in which order, and what a right reply to each of them holds.

Targets and the peer's figures are CPU milliseconds per request of web, PostgreSQL and Valkey together, 8 connections
(shared/reference/peer-figures.md). Reading comes before writing, so that reads meet the size that was loaded.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import quote

import msgspec

from tests.bench import data
from tests.bench.data import CODES, LOINC, Site, ident

DISTINCT = 1_000
PAGE = 20


@dataclass(frozen=True, slots=True)
class Want:
    """A right reply. `entries`: by type, exactly these. `texts` stand in it.

    `order`: the element by which the entries are sorted, with - when descending.
    `made`: how many entries of a transaction's reply say 201.
    """

    status: int = 200
    entries: dict[str, int] | None = None
    texts: tuple[str, ...] = ()
    order: str = ""
    made: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its right reply. `headers` in the form of keyword arguments."""

    method: str
    path: str
    want: Want
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    # The id of the Patient whose next version is asked for with If-Match; "" for all other requests.
    updates: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A named kind of request. `target` and `peer`: CPU ms per request; `peer_rate`: requests per second."""

    name: str
    title: str
    calls: Callable[[Site], Iterator[Call]]
    target: float | None = None
    peer: float | None = None
    peer_rate: float | None = None
    connections: int | None = None
    longer: int = 1
    writes: bool = False


def _rng(name: str) -> random.Random:
    return random.Random(f"salam {name}")


def _patients(site: Site, name: str) -> Iterator[tuple[random.Random, int]]:
    rng = _rng(name)
    for _ in range(DISTINCT):
        yield rng, rng.randrange(site.patients)


def _token(code: str) -> str:
    return quote(f"{LOINC}|{code}", safe="")


def read(site: Site) -> Iterator[Call]:
    """Patient and Observation in turn."""
    for rng, number in _patients(site, "read"):
        me = ident("Patient", number)
        yield Call("GET", f"Patient/{me}", Want(texts=(me, data.family(number))))
        which = number * 13 + rng.randrange(13)
        other = ident("Observation", which)
        yield Call("GET", f"Observation/{other}", Want(texts=(other, me)))


def patient_and_code(site: Site) -> Iterator[Call]:
    """One code of one patient: 4 entries."""
    for rng, number in _patients(site, "code"):
        me, code = ident("Patient", number), rng.choice(CODES)
        want = Want(entries={"Observation": 4}, texts=(me, code))
        yield Call("GET", f"Observation?patient=Patient/{me}&code={_token(code)}", want)


def date_range(site: Site) -> Iterator[Call]:
    """The same within the months of the visits, newest first: 4 entries."""
    for rng, number in _patients(site, "range"):
        me, code = ident("Patient", number), rng.choice(CODES)
        first, last = data.visit(number, 0).date().isoformat(), data.visit(number, 3).date().isoformat()
        want = Want(entries={"Observation": 4}, texts=(me, code), order="-effectiveDateTime")
        query = f"patient=Patient/{me}&code={_token(code)}&date=ge{first}&date=le{last}&_sort=-date"
        yield Call("GET", f"Observation?{query}", want)


def family_and_birth_date(site: Site) -> Iterator[Call]:
    """Six letters of a family name, and a birth date: 1.5 entries."""
    keys = sorted(site.births)
    for prefix, born in _rng("family").choices(keys, k=DISTINCT):
        want = Want(entries={"Patient": site.births[prefix, born]}, texts=(prefix, born))
        yield Call("GET", f"Patient?family={prefix}&birthdate={born}", want)


def include(site: Site) -> Iterator[Call]:
    """A patient's Observations and the patient: 14 entries."""
    for _, number in _patients(site, "include"):
        me = ident("Patient", number)
        want = Want(entries={"Observation": 13, "Patient": 1}, texts=(me,))
        yield Call("GET", f"Observation?patient=Patient/{me}&_include=Observation:subject", want)


def revinclude(site: Site) -> Iterator[Call]:
    """A patient and the Observations of it: 14 entries."""
    for _, number in _patients(site, "revinclude"):
        me = ident("Patient", number)
        want = Want(entries={"Observation": 13, "Patient": 1}, texts=(me,))
        yield Call("GET", f"Patient?_id={me}&_revinclude=Observation:patient", want)


def chained(site: Site) -> Iterator[Call]:
    """One code of all patients of a family name: 7.1 entries."""
    rng = _rng("chained")
    for name in rng.choices(sorted(site.families), k=DISTINCT):
        code = rng.choice(CODES)
        want = Want(entries={"Observation": 4 * site.families[name]}, texts=(code,))
        yield Call("GET", f"Observation?patient.family={name}&code={_token(code)}", want)


def free_slots(site: Site) -> Iterator[Call]:
    """The next free slots of a calendar: a full page of 20."""
    rng = _rng("slots")
    for _ in range(DISTINCT):
        schedule = ident("Schedule", rng.randrange(site.blocks))
        start = quote((data.SLOTS_FROM + rng.choice((0, 1)) * timedelta(hours=12)).isoformat(), safe="")
        want = Want(entries={"Slot": PAGE}, texts=(schedule, '"free"'), order="start")
        query = f"schedule=Schedule/{schedule}&status=free&start=ge{start}&_sort=start&_count={PAGE}"
        yield Call("GET", f"Slot?{query}", want)


def everything(site: Site) -> Iterator[Call]:
    """A patient's record and the Practitioner whom it names: 16 resources."""
    entries = {"Patient": 1, "Encounter": 1, "Observation": 13, "Practitioner": 1}
    for _, number in _patients(site, "everything"):
        me = ident("Patient", number)
        yield Call("GET", f"Patient/{me}/$everything", Want(entries=entries, texts=(me,)))


def create_patient(site: Site) -> Iterator[Call]:
    """New patients, of a family name that no search asks for."""
    for number in range(DISTINCT):
        made = data.patient(number, kind="Created", name="Zcreated")
        del made["id"]
        yield Call("POST", "Patient", Want(201, texts=("Zcreated", '"versionId":"1"')), msgspec.json.encode(made))


def create_observation(site: Site) -> Iterator[Call]:
    """New Observations, of patients that no search asks for."""
    rng = _rng("observation")
    practitioner = f"Practitioner/{ident('Practitioner', 0)}"
    for number in range(DISTINCT):
        subject = f"Patient/{ident('Subject', rng.randrange(data.SUBJECTS))}"
        made = data.observation(rng, "", subject, practitioner, data.visit(number, number % 4), number % 3)
        del made["id"]
        yield Call("POST", "Observation", Want(201, texts=(subject, '"versionId":"1"')), msgspec.json.encode(made))


def update(site: Site) -> Iterator[Call]:
    """The next version of a patient, with If-Match; many more patients than connections, so none meets another."""
    for number in range(data.RING):
        me = ident("Ring", number)
        made = data.patient(number, kind="Ring", name="Zring", note="+20#VERSION")
        headers = {"if_match": 'W/"@VERSION@"'}
        yield Call("PUT", f"Patient/{me}", Want(texts=(me,)), msgspec.json.encode(made), headers, updates=me)


def transaction(site: Site) -> Iterator[Call]:
    """100 creates linked by urn:uuid."""
    for number in range(20):
        yield Call("POST", "", Want(made=100, texts=("transaction-response",)), data.new_records(number))


WORKLOADS = (
    Workload("read", "read by id (Patient, Observation)", read, 0.20, 0.96, 1996),
    Workload("code", "search patient + code", patient_and_code, 0.40, 1.63, 1119),
    Workload("range", "patient + code + date range, _sort=-date", date_range, 0.40, 1.75, 1120),
    Workload("family", "family prefix + birthdate", family_and_birth_date, 0.40, 1.66, 1171),
    Workload("include", "search with _include", include, 0.60, 2.20, 876),
    Workload("revinclude", "search with _revinclude", revinclude, 0.60, 2.39, 810),
    Workload("chained", "chained patient.family + code", chained, 0.60, 2.42, 690),
    Workload("slots", "free slots of a schedule, _sort=start", free_slots, 0.45, 1.81, 1069),
    Workload("everything", "Patient/$everything", everything, 0.80, 26.45, 67),
    Workload("create-patient", "create Patient", create_patient, 0.90, 4.77, 402, writes=True),
    Workload("create-observation", "create Observation with subject", create_observation, 1.0, 5.68, 341, writes=True),
    Workload("update", "update with If-Match", update, 1.2, 6.42, 310, writes=True),
    Workload("transaction", "transaction of 100 entries", transaction, 50.0, 455.0, 4.32, 4, 3, writes=True),
)
