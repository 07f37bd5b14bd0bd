"""Search against the oracle: the same answers, every page once, the order that was asked for."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.core.context import Context
from fhir_server.search import drive
from tests.search import query_oracle as oracle
from tests.search.query_walk import fill, new_context, walk

PATIENTS = 60
TYPES = ("Patient", "Observation", "Encounter", "RiskAssessment")
TOKENS = {
    "Patient": ("gender", "active", "identifier", "_tag"),
    "Observation": ("status", "code", "value-concept", "combo-code"),
    "Encounter": ("status", "class"),
    "RiskAssessment": (),
}
DATES = {"Patient": ("birthdate",), "Observation": ("date",), "Encounter": ("date",), "RiskAssessment": ()}
REFERENCES = {
    "Patient": ("organization",),
    "Observation": ("patient", "subject"),
    "Encounter": ("patient", "subject"),
    "RiskAssessment": ("patient",),
}
STRINGS = {"Patient": ("name", "family", "given")}
AMOUNTS = {"Observation": ("value-quantity", "combo-value-quantity"), "RiskAssessment": ("probability",)}

Matches = Callable[[dict[str, Any]], bool]
Term = tuple[str, Matches]


@pytest.fixture(scope="module", params=[11, 12, 13])
def world(request: pytest.FixtureRequest) -> tuple[Context, list[dict[str, Any]], int]:
    """A tenant with random resources, and the resources."""
    seed = int(request.param)
    resources = oracle.make(random.Random(seed), PATIENTS)
    ctx = new_context()
    fill(ctx, resources)
    return ctx, resources, seed


@pytest.fixture(params=["few", "dense"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Collecting and sorting, or walking in order: the same answers whatever is counted as dense."""
    if request.param == "dense":
        monkeypatch.setattr(drive, "DENSE", 3)
        monkeypatch.setattr(drive, "DENSE_SORTED", 3)
    drive.forget()
    yield request.param
    drive.forget()


def escaped(text: str) -> str:
    for character in "\\,$|":
        text = text.replace(character, "\\" + character)
    return text


def token_term(rng: random.Random, code: str) -> Term:
    pool = {
        "gender": [(None, "male"), (None, "female"), ("http://hl7.org/fhir/administrative-gender", "female")],
        "active": [(None, "true"), (None, "false")],
        "status": [(None, s) for s in ("final", "amended", "planned", "finished")],
        "identifier": [(s, str(n)) for s in (None, "", oracle.LOCAL) for n in range(4)] + [(oracle.LOCAL, "")],
    }.get(code, [(s, c) for s, c in oracle.CODES] + [(None, c) for _, c in oracle.CODES] + [(oracle.LOINC, "")])
    chosen = rng.sample(pool, rng.choice([1, 1, 2]))
    text = ",".join(escaped(c) if s is None else f"{escaped(s)}|{escaped(c)}" for s, c in chosen)
    modifier = rng.choice(["", "", ":not"])

    def wanted(values: list[tuple[str | None, str]]) -> bool:
        implied = code == "gender"
        return any(oracle.token_matches(values, None if implied else s, c) for s, c in chosen)

    return f"{code}{modifier}={quote(text)}", lambda r: wanted(oracle.tokens(r, code)) != (modifier == ":not")


def date_term(rng: random.Random, code: str) -> Term:
    chosen = [rng.choice(["", *oracle.PREFIXES]) + rng.choice(oracle.DATES) for _ in range(rng.choice([1, 1, 2]))]
    text = quote(",".join(chosen))
    return f"{code}={text}", lambda r: any(oracle.date_matches(oracle.dates(r, code), each) for each in chosen)


def string_term(rng: random.Random, code: str) -> Term:
    modifier = rng.choice(["", "", ":exact", ":contains"])
    text = rng.choice(oracle.NAMES)
    text = text if modifier == ":exact" else text[: rng.randint(1, 4)].strip()
    return (
        f"{code}{modifier}={quote(text)}",
        lambda r: oracle.string_matches(oracle.strings(r, code), text, modifier[1:]),
    )


def reference_term(rng: random.Random, code: str) -> Term:
    if code == "organization":
        target = f"Organization/o{rng.randrange(6)}"
    else:
        target = rng.choice([f"Patient/p{rng.randrange(PATIENTS)}", "Patient/p1", "Group/g1"])
    if code == "patient" and target.startswith("Group"):
        target = "Patient/p2"
    form = rng.choice(["full", "id", "type", "absolute"])
    name, text = code, target
    if form == "id":
        text = target.partition("/")[2]
    elif form == "type":
        name, text = f"{code}:{target.partition('/')[0]}", target.partition("/")[2]
    elif form == "absolute":
        text = f"http://localhost/t/test/fhir/{target}"
    return f"{name}={quote(text)}", lambda r: target in oracle.references(r, code)


def amount_term(rng: random.Random, code: str) -> Term:
    text = rng.choice(["", *oracle.PREFIXES]) + rng.choice(oracle.AMOUNTS)
    if code != "probability" and rng.random() < 0.7:
        system, unit, name = rng.choice(oracle.UNITS)
        text += f"|{system or ''}|{unit or name}" if rng.random() < 0.6 else f"||{name}"
    return f"{code}={quote(text, safe='|')}", lambda r: oracle.amount_matches(oracle.amounts(r, code), text)


def missing_term(rng: random.Random, code: str, values: Callable[[dict[str, Any], str], list[Any]]) -> Term:
    wanted = rng.choice([True, False])
    return f"{code}:missing={str(wanted).lower()}", lambda r: (not values(r, code)) == wanted


def any_term(rng: random.Random, resource_type: str, by_id: dict[str, dict[str, Any]], depth: int = 0) -> Term:
    kinds: list[Callable[[], Term]] = []
    for codes, make, values in (
        (TOKENS.get(resource_type, ()), token_term, oracle.tokens),
        (DATES.get(resource_type, ()), date_term, oracle.dates),
        (STRINGS.get(resource_type, ()), string_term, oracle.strings),
        (REFERENCES.get(resource_type, ()), reference_term, oracle.references),
        (AMOUNTS.get(resource_type, ()), amount_term, oracle.amounts),
    ):
        for code in codes:
            kinds += [lambda make=make, code=code: make(rng, code)] * 3
            kinds.append(lambda code=code, values=values: missing_term(rng, code, values))
    if depth < 2:
        kinds += [lambda: link_term(rng, resource_type, by_id, depth)] * 4
    return rng.choice(kinds)()


def link_term(rng: random.Random, resource_type: str, by_id: dict[str, dict[str, Any]], depth: int) -> Term:
    """A chain, or from a patient a reverse chain."""
    if resource_type == "Patient" and rng.random() < 0.6:
        source = rng.choice(TYPES[1:])
        inner, matches = any_term(rng, source, by_id, depth + 1)
        sources = [r for r in by_id.values() if r["resourceType"] == source]
        return f"_has:{source}:patient:{inner}", lambda r: any(
            f"Patient/{r['id']}" in oracle.references(s, "patient") and matches(s) for s in sources
        )
    if resource_type == "Patient":
        text = rng.choice(oracle.NAMES)[:2]
        return f"organization.name={quote(text)}", lambda r: any(
            t in by_id and oracle.string_matches(oracle.strings(by_id[t], "name"), text, "")
            for t in oracle.references(r, "organization")
        )
    inner, matches = any_term(rng, "Patient", by_id, depth + 1)
    link = rng.choice(["patient", "subject:Patient"])
    code = "patient" if resource_type == "RiskAssessment" else link.partition(":")[0]
    link = link if code == link.partition(":")[0] else "patient"
    return f"{link}.{inner}", lambda r: any(
        t in by_id and t.startswith("Patient/") and matches(by_id[t]) for t in oracle.references(r, code)
    )


def test_answers_are_those_of_the_oracle(world: Any, way: str) -> None:
    """Random conditions, alone and together, over several pages."""
    ctx, resources, seed = world
    by_id = {f"{r['resourceType']}/{r['id']}": r for r in resources}
    rng = random.Random(seed * 7 + (way == "dense"))
    matched = 0
    for _ in range(250):
        resource_type = rng.choice(TYPES)
        terms = [any_term(rng, resource_type, by_id) for _ in range(rng.choice([1, 1, 2, 3]))]
        query = "&".join(text for text, _ in terms)
        wanted = {
            name
            for name, r in by_id.items()
            if r["resourceType"] == resource_type and all(matches(r) for _, matches in terms)
        }
        found = walk(ctx, resource_type, f"{query}&_count={rng.choice([3, 7, 50])}")
        assert len(found) == len(set(found)), f"{resource_type}?{query}"
        assert set(found) == wanted, f"{resource_type}?{query}"
        matched += bool(wanted)
    assert matched > 80


def test_windows(world: Any, way: str) -> None:
    """A lower and an upper bound on one parameter, which one index range answers where one row must meet both."""
    ctx, resources, seed = world
    rng = random.Random(seed)
    matched = 0
    for _ in range(80):
        resource_type, code, matches, values, pool, unit = rng.choice(WINDOWS)
        lower = rng.choice(["ge", "gt", "sa"]) + rng.choice(pool) + unit
        upper = rng.choice(["le", "lt", "eb"]) + rng.choice(pool) + unit
        wanted = {
            f"{resource_type}/{r['id']}"
            for r in resources
            if r["resourceType"] == resource_type and matches(values(r, code), lower) and matches(values(r, code), upper)
        }
        query = f"{code}={quote(lower, safe='|')}&{code}={quote(upper, safe='|')}"
        assert set(walk(ctx, resource_type, f"{query}&_count=6")) == wanted, f"{resource_type}?{query}"
        matched += bool(wanted)
    assert matched > 15


WINDOWS: list[tuple[str, str, Callable[..., bool], Callable[..., Any], list[str], str]] = [
    ("Patient", "birthdate", oracle.date_matches, oracle.dates, oracle.DATES, ""),
    ("Encounter", "date", oracle.date_matches, oracle.dates, oracle.DATES, ""),
    ("Observation", "date", oracle.date_matches, oracle.dates, oracle.DATES, ""),
    ("Observation", "value-quantity", oracle.amount_matches, oracle.amounts, oracle.AMOUNTS, ""),
    ("Observation", "value-quantity", oracle.amount_matches, oracle.amounts, oracle.AMOUNTS, f"|{oracle.UCUM}|mg"),
    ("Observation", "combo-value-quantity", oracle.amount_matches, oracle.amounts, oracle.AMOUNTS, ""),
    ("RiskAssessment", "probability", oracle.amount_matches, oracle.amounts, oracle.AMOUNTS, ""),
]

SORTS: dict[str, tuple[str, Callable[[dict[str, Any]], list[Any]]]] = {
    "birthdate": ("Patient", lambda r: [lo for lo, _ in oracle.dates(r, "birthdate")]),
    "family": ("Patient", lambda r: [oracle.fold(v) for v in oracle.strings(r, "family")]),
    "given": ("Patient", lambda r: [oracle.fold(v) for v in oracle.strings(r, "given")]),
    "gender": ("Patient", lambda r: [c for _, c in oracle.tokens(r, "gender")]),
    "active": ("Patient", lambda r: [c for _, c in oracle.tokens(r, "active")]),
    "identifier": ("Patient", lambda r: [c for _, c in oracle.tokens(r, "identifier")][:1]),
    "organization": ("Patient", lambda r: oracle.references(r, "organization")),
    "_id": ("Patient", lambda r: [r["id"]]),
    "status": ("Observation", lambda r: [r["status"]]),
    "code": ("Observation", lambda r: [c for _, c in oracle.tokens(r, "code")][:1]),
    "value-quantity": ("Observation", lambda r: _lows(r, "value-quantity")),
    "combo-value-quantity": ("Observation", lambda r: _lows(r, "combo-value-quantity")),
    "probability": ("RiskAssessment", lambda r: _lows(r, "probability")),
}


def _lows(resource: dict[str, Any], code: str) -> list[float]:
    return [float("-inf") if low is None else float(low) for low, *_ in oracle.amounts(resource, code)]


@pytest.mark.parametrize("condition", ["", "_id:missing=false", "narrowed"])
def test_order_and_pages(world: Any, way: str, condition: str) -> None:
    """Every sort, up and down, alone and with a second key: each resource once, values in order, absent ones last."""
    ctx, resources, seed = world
    rng = random.Random(seed)
    for name, (resource_type, _) in SORTS.items():
        others = [other for other, (of, _) in SORTS.items() if of == resource_type and other != name]
        second = rng.choice(others or [name])
        for sort in (name, f"-{name}", f"{name},-{second}", f"-{name},{second}"):
            rows = [r for r in resources if r["resourceType"] == resource_type]
            query = f"{condition}&" if condition else ""
            if condition == "narrowed":
                query = {"Patient": "gender=male&", "Observation": "status=final&"}.get(resource_type, "")
                rows = [r for r in rows if not query or r.get("gender") == "male" or r.get("status") == "final"]
            found = walk(ctx, resource_type, f"{query}_sort={sort}&_count=7")
            assert sorted(found) == sorted(f"{resource_type}/{r['id']}" for r in rows), sort
            by_id = {f"{resource_type}/{r['id']}": r for r in rows}
            in_order(sort, [sort_tuple(by_id[each], sort) for each in found])


def sort_tuple(resource: dict[str, Any], sort: str) -> list[tuple[bool, Any]]:
    out = []
    for key in sort.split(","):
        values = SORTS[key.lstrip("-")][1](resource)
        out.append((values == [], (max if key[0] == "-" else min)(values) if values else None))
    return out


def in_order(sort: str, rows: list[list[tuple[bool, Any]]]) -> None:
    down = [key[0] == "-" for key in sort.split(",")]
    for before, after in zip(rows, rows[1:], strict=False):
        for (no_value, value), (no_next, following), desc in zip(before, after, down, strict=True):
            if (no_value, value) == (no_next, following):
                continue
            assert no_value <= no_next, sort
            if no_value == no_next:
                assert value > following if desc else value < following, sort
            break


def test_default_order_is_newest_first(world: Any, way: str) -> None:
    """Without _sort: by the resource's own time, newest first; resources without one stand at their creation."""
    ctx, resources, _ = world
    rows = {f"Observation/{r['id']}": r for r in resources if r["resourceType"] == "Observation"}
    for query in ("_count=9", "status=final&_count=9", "status=final,amended,preliminary&_count=9"):
        found = walk(ctx, "Observation", query)
        times = [_own_time(rows[each]) for each in found]
        assert times == sorted(times, reverse=True)
    assert walk(ctx, "Observation", "_sort=-date&_count=9") == walk(ctx, "Observation", "_count=11")
    assert sorted(walk(ctx, "Observation", "_sort=date&_count=9")) == sorted(rows)


def _own_time(resource: dict[str, Any]) -> datetime:
    starts = [lo for lo, _ in oracle.dates(resource, "date") if lo != oracle.NEVER]
    return min(starts) if starts else datetime.max.replace(tzinfo=UTC)
