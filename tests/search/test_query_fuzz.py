"""Whatever the client sends, the answer is a Bundle or an error of the client's: never a fault of the server."""

import random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, TooCostly
from fhir_server.interactions.search import search
from tests.search import query_oracle as oracle
from tests.search.query_walk import BASE, bundle, fill, new_context


@pytest.fixture(scope="module")
def filled() -> Context:
    ctx = new_context()
    fill(ctx, oracle.make(random.Random(5), 20))
    return ctx


def names(kind: str) -> list[str]:
    codes = list(base_registry().search_params(kind))
    modifiers = ["", "", "", ":missing", ":not", ":text", ":exact", ":contains", ":in", ":below", ":above", ":Patient"]
    controls = ["_sort", "_count", "_include", "_revinclude:iterate", "_filter", "_total", "_summary", "_elements", "_type"]
    chains = ["patient.name", "subject:Patient.birthdate", "_has:Observation:patient:code", "organization.partof.name"]
    return [code + modifier for code in codes for modifier in modifiers] + controls * 4 + chains * 4


ODD = ["", ",", "|", "||", "$", "\\", "\\,", "a\\", "a|b|c", "a$b$c", "eq", "ge", "ap0001-01-01", "ap9999", "0001", "9999",
       "1e99", "-1e-99", "lt9999-12-31T23:59:59.999999+14:00", "9" * 40, "\x00", "\U0010ffff", "%", "_", "*", "()", '"',
       "-_id,family", "Patient:organization", "*", "true", "code eq 1", "not (", "http://x|", "Patient/", "/", "urn:x",
       "'; DROP TABLE resource; --", "{}", "{1,2}", "NULL", "١٢", "\ud7ff", "value,", ",value"]  # fmt: skip
VALUES = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.sampled_from(oracle.DATES + oracle.AMOUNTS + oracle.NAMES))


@st.composite
def searches(draw: Any) -> tuple[str, list[tuple[str, str]]]:
    kind = draw(st.sampled_from(["Patient", "Observation", "Encounter", "ValueSet", "Location", "RiskAssessment", ""]))
    known = st.sampled_from(names(kind or "Patient"))
    return kind, draw(st.lists(st.tuples(known, VALUES), min_size=1, max_size=4))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=searches())
@example(asked=("Patient", [("name", "\U0010ffff")]))
@example(asked=("ValueSet", [("url:below", "\U0010ffff")]))
@example(asked=("Patient", [("_cursor", "x")]))
def test_never_the_servers_fault(filled: Context, asked: tuple[str, list[tuple[str, str]]]) -> None:
    """Random parameters with odd values."""
    kind, pairs = asked
    filled.db.enter(filled.tenant.id, None, 1)
    status, body = 200, b""
    try:
        body = search(filled, kind or None, pairs, url=f"{BASE}/{kind}").body
    except FhirError as error:
        status = error.status
    assert 400 <= status < 500 or body.startswith(b'{"resourceType":"Bundle"')


TOO_MUCH = [
    "birthdate=" + ",".join(f"{year}" for year in range(1900, 1990)),
    "identifier=" + ",".join(str(n) for n in range(3000)),
    "organization." + "partof." * 12 + "name=x",
    "&".join(f"name=a{n}" for n in range(100)),
    "&".join("_include=Patient:organization" for _ in range(100)),
    "_sort=" + ",".join(["family"] * 20),
    "_filter=" + quote(" or ".join(f"name eq a{n}" for n in range(300))),
    "_has:Observation:patient:" * 10 + "code=x",
]


@pytest.mark.parametrize("query", TOO_MUCH, ids=[query[:30] for query in TOO_MUCH])
def test_too_much(filled: Context, query: str) -> None:
    """More than a search may ask for is refused before it reaches the database."""
    with pytest.raises(TooCostly):
        bundle(filled, "Patient", query)


def test_many_values_are_fine(filled: Context) -> None:
    """Up to the limit."""
    assert bundle(filled, "Patient", "identifier=" + ",".join(str(n) for n in range(2000)))["total"] >= 5
    assert bundle(filled, "Patient", "birthdate=" + ",".join(f"{year}" for year in range(1990, 2040)))["total"] >= 5
