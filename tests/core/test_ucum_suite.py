"""UCUM's functional tests, and R4's list of common units. https://hl7.org/fhir/R4/valueset-ucum-common.html

The functional tests (UcumFunctionalTests.xml) have a licence that keeps them out of this tree: UCUM_FUNCTIONAL_TESTS
names the file where somebody has it.
"""

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core import ucum
from fhir_server.core.ucum.table import atoms

_SUITE = Path(os.environ.get("UCUM_FUNCTIONAL_TESTS", "absent"))
needs_suite = pytest.mark.skipif(not _SUITE.is_file(), reason="UCUM_FUNCTIONAL_TESTS names no file")
_PRECISION = Decimal("1e-14")


def cases(section: str) -> Iterator[dict[str, str]]:
    if _SUITE.is_file():
        yield from (dict(case.attrib) for case in ElementTree.parse(_SUITE).getroot().iterfind(f"{section}/case"))


def wrong_verdicts(rows: Iterator[dict[str, str]]) -> list[str]:
    return [row["unit"] for row in rows if (ucum.problem(row["unit"]) is None) != (row["valid"] == "true")]


@needs_suite
def test_what_is_a_code() -> None:
    assert len(list(cases("validation"))) > 500
    assert wrong_verdicts(cases("validation")) == []
    assert wrong_verdicts(iter([{"unit": "m/", "valid": "true"}])) == ["m/"], "known bad"


@pytest.mark.parametrize("case", list(cases("conversion")), ids=lambda case: case["id"])
def test_conversions(case: dict[str, str]) -> None:
    found = ucum.convert(Decimal(case["value"]), case["srcUnit"], case["dstUnit"])
    expected = Decimal(case["outcome"])
    # The suite rounds some results to the figures of what was given.
    rounding = Decimal(1).scaleb(expected.as_tuple().exponent) if len(expected.as_tuple().digits) < 4 else 0  # type: ignore[arg-type]
    assert abs(found - expected) <= max(abs(expected) * _PRECISION, rounding)


@needs_suite
def test_names() -> None:
    rows = [row for row in cases("displayNameGeneration") if row["unit"]]
    assert len(rows) == 8
    assert [ucum.named(row["unit"]) for row in rows] == [row["display"] for row in rows]


def test_every_unit_of_the_table_can_be_used() -> None:
    assert len(atoms()) == 312
    assert [code for code in atoms() if ucum.problem(code) or ucum.unit(code) is None] == []


def test_the_common_units_of_r4() -> None:
    listed = (base_registry().value_set("http://hl7.org/fhir/ValueSet/ucum-common") or {})["compose"]["include"][0]
    codes = [concept["code"] for concept in listed["concept"]]
    assert len(codes) > 1300
    assert [code for code in codes if ucum.problem(code)] == []
