"""Index rows per search parameter type: each row of the table is an element and the rows it must and must not give."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.dates import MAX_US, MIN_US, parse_range
from fhir_server.core.keys import (
    compartment_key,
    param_id,
    present_key,
    self_key,
    target_key,
    token_key,
    type_key,
    unit_key,
)
from fhir_server.search.extract import IndexRows, extract
from fhir_server.search.types.composite import string_value

BASE = "https://salam.example/t/a/fhir"
INF = float("inf")
UCUM = "http://unitsofmeasure.org"


def rows_of(resource: dict[str, Any]) -> IndexRows:
    return extract(base_registry(), {"id": "x", **resource}, BASE)


@dataclass
class Row:
    """`tokens`, `keys` and `absent` are (param, form) of the resource's type; `absent` must not be among the keys."""

    resource: dict[str, Any]
    tokens: list[tuple[str, str]] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)
    absent: list[tuple[str, str]] = field(default_factory=list)
    strings: list[tuple[str, str]] | None = None
    dates: list[tuple[str, int, int]] | None = None
    references: list[tuple[str, str]] | None = None
    quantities: list[tuple[str, int, float, float]] | None = None


def faults(row: Row) -> list[str]:
    """What is wrong with the rows of a table row; [] when all is as expected."""
    kind, rows = row.resource["resourceType"], rows_of(row.resource)
    found = [f"token {t}" for t in row.tokens if token_key(kind, *t) not in rows.tokens]
    found += [f"key {t}" for t in row.tokens + row.keys if token_key(kind, *t) not in rows.keys]
    found += [f"not a token {t}" for t in row.keys if token_key(kind, *t) in rows.tokens]
    found += [f"absent {t}" for t in row.absent if token_key(kind, *t) in rows.keys]
    for name, mine in (("strings", row.strings), ("dates", row.dates), ("quantities", row.quantities)):
        if mine is not None:
            codes = {param_id(kind, each[0]) for each in mine}
            wanted = {(param_id(kind, each[0]), *each[1:]) for each in mine}
            got = {each for each in getattr(rows, name) if each[0] in codes}
            found += [f"{name}: {wanted ^ got}"] if wanted != got else []
    for code, target in row.references or ():
        if (param_id(kind, code), target_key(target)) not in rows.references:
            found.append(f"reference {code} {target}")
    if row.references == [] and rows.references:
        found.append("references")
    return found


def day(text: str) -> tuple[int, int]:
    return parse_range(text)


TOKENS = [
    Row({"resourceType": "Observation", "status": "final"}, tokens=[("status", "final")],
        absent=[("status", "|final"), ("status", "preliminary")]),
    Row({"resourceType": "Observation", "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6",
        "display": "Systolic Blood-Pressure"}, {"code": "bp"}], "text": "Tension"}},
        tokens=[("code", "8480-6"), ("code", "bp")],
        keys=[("code", "http://loinc.org|8480-6"), ("code", "|bp"), ("code", "http://loinc.org|"), ("code:text", "systolic"),
              ("code:text", "pressure"), ("code:text", "tension")],
        absent=[("code", "|8480-6"), ("component-code", "8480-6"), ("combo-code", "8480-6"), ("code", "|")]),
    Row({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "12345", "type": {"coding": [
        {"system": "http://v2", "code": "MR"}], "text": "Record number"}}, {"value": "lone"}]},
        tokens=[("identifier", "12345"), ("identifier:of-type", "http://v2|MR|12345"), ("identifier", "lone")],
        keys=[("identifier", "urn:mrn|12345"), ("identifier", "|lone"), ("identifier", "urn:mrn|"), ("identifier:text", "record")], absent=[("identifier", "|12345")]),
    Row({"resourceType": "Patient", "telecom": [{"system": "phone", "value": "+212 6", "use": "home"},
        {"system": "email", "value": "a@b.example"}]},
        tokens=[("telecom", "+212 6"), ("phone", "+212 6"), ("email", "a@b.example"), ("telecom", "a@b.example")],
        absent=[("email", "+212 6"), ("phone", "a@b.example")]),
    Row({"resourceType": "Patient", "active": True}, tokens=[("active", "true"), ("deceased", "false")]),
    Row({"resourceType": "Patient", "deceasedDateTime": "2020-01-01"}, tokens=[("deceased", "true")]),
    Row({"resourceType": "Patient", "meta": {"tag": [{"system": "urn:t", "code": "a"}], "profile": ["http://p"],
        "security": [{"code": "R"}], "source": "http://s"}},
        tokens=[("_tag", "a"), ("_profile", "http://p"), ("_security", "R"), ("_source", "http://s")]),
    Row({"resourceType": "Patient", "meta": {"profile": ["http://p|2.1"]}},
        tokens=[("_profile", "http://p|2.1"), ("_profile:below", "http://p")], absent=[("_profile", "http://p")]),
    Row({"resourceType": "Encounter", "class": {"system": "urn:act", "code": "AMB"}}, tokens=[("class", "AMB")],
        keys=[("class", "urn:act|AMB")]),
    Row({"resourceType": "ValueSet", "url": "http://e/vs", "version": "1.0"}, tokens=[("url", "http://e/vs"),
        ("version", "1.0")], strings=[("url", "http://e/vs")]),
    Row({"resourceType": "Group", "characteristic": [{"code": {"coding": [{"code": "g"}]}, "valueBoolean": False}]},
        tokens=[("value", "false"), ("characteristic-value", "g$false"), ("characteristic-value", "|g$false")]),
    Row({"resourceType": "Patient", "text": {"status": "generated", "div": "<div>Cr&egrave;me <b>2&nbsp;kg</b></div>"},
        "maritalStatus": {"text": "Épouse"}},
        keys=[("_text", "creme"), ("_text", "kg"), ("_content", "creme"), ("_content", "epouse")],
        absent=[("_text", "epouse"), ("_text", "div"), ("_text", "b"), ("_content", "generated")]),
]  # fmt: skip

STRINGS = [
    Row({"resourceType": "Patient", "name": [{"family": "Núñez  Ben", "given": ["ÉLISE", None, "B"], "prefix": ["Dr"],
        "text": "Élise"}]},
        strings=[("name", "nunez ben"), ("name", "elise"), ("name", "b"), ("name", "dr"), ("family", "nunez ben"),
                 ("given", "elise"), ("given", "b")],
        keys=[("family:exact", "Núñez  Ben"), ("name:exact", "ÉLISE")], absent=[("family:exact", "nunez ben")]),
    Row({"resourceType": "Patient", "address": [{"line": ["1 Rue X"], "city": "Fès", "postalCode": "30000",
        "country": "MA", "period": {"start": "2020"}}]},
        strings=[("address", "1 rue x"), ("address", "fes"), ("address", "30000"), ("address", "ma"),
                 ("address-city", "fes"), ("address-postalcode", "30000"), ("address-country", "ma")]),
    Row({"resourceType": "Patient", "name": [{"text": "مُحَمَّد"}]}, strings=[("name", "محمد")]),
    Row({"resourceType": "Observation", "valueCodeableConcept": {"text": "Posi\ttive"}},
        strings=[("value-string", "posi tive")]),
    Row({"resourceType": "Patient", "name": [{"family": "  "}]}, strings=[("family", "")][:0]),
]  # fmt: skip

DATES = [
    Row({"resourceType": "Patient", "birthDate": "1974-12"}, dates=[("birthdate", *day("1974-12"))]),
    Row({"resourceType": "Observation", "effectivePeriod": {"start": "2020-01-01"}},
        dates=[("date", day("2020-01-01")[0], MAX_US)]),
    Row({"resourceType": "Observation", "effectivePeriod": {"end": "2020-01-01"}},
        dates=[("date", MIN_US, day("2020-01-01")[1])]),
    Row({"resourceType": "Observation", "effectiveTiming": {"event": ["2020-03-01", "2020-01-05"], "repeat": {
        "boundsPeriod": {"start": "2020-02-01", "end": "2020-06-30"}}}},
        dates=[("date", day("2020-01-05")[0], day("2020-06-30")[1])]),
    Row({"resourceType": "Observation", "effectiveInstant": "2020-01-01T00:00:00Z"},
        dates=[("date", *day("2020-01-01T00:00:00Z"))]),
    Row({"resourceType": "Patient", "birthDate": "2023-02-30"}, dates=[]),
    Row({"resourceType": "Observation", "effectiveDateTime": "2016-12-31T23:59:60Z"}, dates=[]),
    Row({"resourceType": "Observation", "effectivePeriod": {"id": "p"}}, dates=[]),
]  # fmt: skip

REFERENCES = [
    Row({"resourceType": "Observation", "subject": {"reference": "Patient/1"}},
        references=[("subject", "Patient/1"), ("patient", "Patient/1")], keys=[("subject", "Patient/1")]),
    Row({"resourceType": "Observation", "subject": {"reference": f"{BASE}/Patient/1/_history/3"}},
        references=[("subject", "Patient/1"), ("patient", "Patient/1")]),
    Row({"resourceType": "Observation", "subject": {"reference": "http://else.example/Patient/1"}},
        references=[("subject", "http://else.example/Patient/1"), ("patient", "http://else.example/Patient/1")],
        absent=[("subject", "Patient/1")]),
    Row({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, references=[("subject", "Group/1")],
        absent=[("patient", "Group/1")]),
    Row({"resourceType": "Observation", "subject": {"reference": "#p"}}, references=[]),
    Row({"resourceType": "Observation", "subject": {"reference": "urn:uuid:1", "type": "Patient"}},
        references=[("subject", "urn:uuid:1"), ("patient", "urn:uuid:1")]),
    Row({"resourceType": "Observation", "subject": {"type": "Patient", "identifier": {"system": "urn:m", "value": "7"}}},
        references=[], tokens=[("subject:identifier", "7"), ("subject:identifier", "urn:m|7"),
                               ("patient:identifier", "urn:m|7")]),
    Row({"resourceType": "QuestionnaireResponse", "questionnaire": "http://e/q|2"},
        references=[("questionnaire", "http://e/q"), ("questionnaire", "http://e/q|2")]),
    Row({"resourceType": "Library", "relatedArtifact": [{"type": "depends-on", "resource": "http://e/l|1"},
        {"type": "successor", "resource": "http://e/m"}]},
        references=[("depends-on", "http://e/l"), ("successor", "http://e/m")], absent=[("depends-on", "http://e/m")]),
]  # fmt: skip

ANY = unit_key(None, None)
KG = unit_key("ucum:canonical", "g")
QUANTITIES = [
    Row({"resourceType": "Observation", "valueQuantity": {"value": Decimal("72.50"), "unit": "kilos", "system": UCUM,
        "code": "kg"}},
        quantities=[("value-quantity", ANY, 72.5, 72.5), ("value-quantity", unit_key(None, "kilos"), 72.5, 72.5),
                    ("value-quantity", KG, 72500.0, 72500.0)]),
    Row({"resourceType": "Observation", "valueQuantity": {"value": 3, "system": "urn:u", "code": "pack"}},
        quantities=[("value-quantity", ANY, 3.0, 3.0), ("value-quantity", unit_key(None, "pack"), 3.0, 3.0),
                    ("value-quantity", unit_key("urn:u", "pack"), 3.0, 3.0)]),
    Row({"resourceType": "Observation", "valueQuantity": {"value": 5, "comparator": "<"}},
        quantities=[("value-quantity", ANY, -INF, 5.0)]),
    Row({"resourceType": "Observation", "valueQuantity": {"unit": "kg"}}, quantities=[]),
    Row({"resourceType": "Observation", "valueSampledData": {"origin": {"value": 10}, "factor": Decimal("0.5"),
        "period": 1, "dimensions": 1, "data": "2 E 4 8"}}, quantities=[("value-quantity", ANY, 11.0, 14.0)]),
    Row({"resourceType": "Observation", "valueSampledData": {"origin": {"value": 10}, "data": "E U"}}, quantities=[]),
    Row({"resourceType": "Invoice", "totalGross": {"value": Decimal("10.5"), "currency": "MAD"}},
        quantities=[("totalgross", ANY, 10.5, 10.5), ("totalgross", unit_key(None, "MAD"), 10.5, 10.5),
                    ("totalgross", unit_key("urn:iso:std:iso:4217", "MAD"), 10.5, 10.5)]),
    Row({"resourceType": "Condition", "onsetRange": {"low": {"value": 40, "unit": "y"}}},
        quantities=[("onset-age", ANY, 40.0, INF), ("onset-age", unit_key(None, "y"), 40.0, INF)]),
    Row({"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal("0.25")}, {
        "probabilityRange": {"low": {"value": Decimal("0.1")}, "high": {"value": Decimal("0.2")}}}]},
        quantities=[("probability", ANY, 0.25, 0.25), ("probability", ANY, 0.1, 0.2)]),
    Row({"resourceType": "Location", "position": {"latitude": Decimal("14.5"), "longitude": -17}},
        quantities=[("near:lat", ANY, 14.5, 14.5), ("near:lon", ANY, -17.0, -17.0)]),
    Row({"resourceType": "ChargeItem", "factorOverride": 10**400}, quantities=[]),
]  # fmt: skip

CODE = {"coding": [{"system": "urn:s", "code": "c"}]}
COMPOSITES = [
    # Composites of the resource itself are both components together: no rows of their own.
    Row({"resourceType": "Observation", "code": CODE, "valueCodeableConcept": {"coding": [{"code": "v"}]}},
        tokens=[("code", "c"), ("value-concept", "v")],
        absent=[("code-value-concept", "c$v"), ("component-code-value-concept", "c$v")]),
    Row({"resourceType": "Observation", "code": CODE, "valueQuantity": {"value": 2}},
        quantities=[("value-quantity", ANY, 2.0, 2.0)]),
    Row({"resourceType": "Observation", "code": CODE, "component": [
        {"code": {"coding": [{"code": "a"}]}, "valueCodeableConcept": {"coding": [{"code": "1"}]}},
        {"code": {"coding": [{"code": "b"}]}, "valueCodeableConcept": {"coding": [{"code": "2"}]}}]},
        tokens=[("component-code-value-concept", "a$1"), ("component-code-value-concept", "b$2")],
        absent=[("component-code-value-concept", "a$2"), ("component-code-value-concept", "c$1")]),
    Row({"resourceType": "Observation", "component": [{"code": CODE, "valueQuantity": {"value": 2}}]},
        quantities=[("component-value-quantity", ANY, 2.0, 2.0),
                    ("component-code-value-quantity", unit_key(None, None, "c"), 2.0, 2.0),
                    ("component-code-value-quantity", unit_key(None, None, "urn:s|c"), 2.0, 2.0)]),
    Row({"resourceType": "Observation", "code": CODE, "valueString": "Ça va"},
        strings=[("code-value-string", string_value("c", "ca va")), ("code-value-string", string_value("urn:s|c", "ca va"))]),
    Row({"resourceType": "DocumentReference", "relatesTo": [{"code": "replaces", "target": {
        "reference": "DocumentReference/9"}}]}, tokens=[("relationship", "replaces$DocumentReference/9")]),
    Row({"resourceType": "MolecularSequence", "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}}, "variant": [
        {"start": 10, "end": 20}]},
        quantities=[("chromosome-variant-coordinate", unit_key(None, None, "1"), 10.0, 20.0),
                    ("chromosome-variant-coordinate", unit_key(None, None, "|1"), 10.0, 20.0)]),
]  # fmt: skip


@pytest.mark.parametrize("row", TOKENS + STRINGS + DATES + REFERENCES + QUANTITIES + COMPOSITES)
def test_rows_of_an_element(row: Row) -> None:
    assert faults(row) == []


def test_the_table_finds_wrong_rows() -> None:
    bad = Row({"resourceType": "Patient", "active": True, "birthDate": "2000"}, tokens=[("active", "false")],
              absent=[("active", "true")], dates=[("birthdate", 0, 1)], references=[("link", "Patient/1")])  # fmt: skip
    assert len(faults(bad)) == 5


def test_every_resource_has_its_type_and_says_which_parameters_have_a_value() -> None:
    rows = rows_of({"resourceType": "Observation", "status": "final", "valueQuantity": {"value": 1}, "code": CODE})
    assert type_key("Observation") in rows.tokens
    for code in ("status", "code", "value-quantity"):
        assert present_key("Observation", code) in rows.keys
    for code in ("value-concept", "subject", "component-code", "component-code-value-quantity", "category"):
        assert present_key("Observation", code) not in rows.keys
    assert set(rows.tokens) <= set(rows.keys)
    assert len(set(rows.keys)) == len(rows.keys)


def test_missing_of_a_typed_reference_looks_at_the_target() -> None:
    rows = rows_of({"resourceType": "Observation", "subject": {"reference": "Group/1"}})
    assert present_key("Observation", "subject") in rows.keys
    assert present_key("Observation", "patient") not in rows.keys


@pytest.mark.parametrize(
    ("resource", "members"),
    [
        ({"resourceType": "Patient"}, [("Patient", "x")]),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "encounter": {"reference": "Encounter/2"},
          "performer": [{"reference": "Practitioner/3"}, {"reference": "RelatedPerson/4"}],
          "device": {"reference": "Device/5"}},
         [("Patient", "1"), ("Encounter", "2"), ("Practitioner", "3"), ("RelatedPerson", "4"), ("Device", "5")]),
        ({"resourceType": "Encounter"}, [("Encounter", "x")]),
    ],
)  # fmt: skip
def test_compartments(resource: dict[str, Any], members: list[tuple[str, str]]) -> None:
    rows = rows_of(resource)
    for compartment, member in members:
        assert compartment_key(compartment, member, resource["resourceType"]) in rows.tokens


@pytest.mark.parametrize(
    "subject",
    [{"reference": "http://else.example/Patient/1"}, {"reference": "Group/1"}, {"reference": "urn:uuid:1"},
     {"reference": "#Patient/1"}, {"type": "Patient", "identifier": {"value": "1"}}, {"display": "Patient/1"}],
)  # fmt: skip
def test_what_is_not_a_reference_to_this_tenants_patient_gives_no_membership(subject: dict[str, Any]) -> None:
    rows = rows_of({"resourceType": "Observation", "subject": subject})
    assert compartment_key("Patient", "1", "Observation") not in rows.keys


def test_a_parameter_outside_the_compartment_definition_gives_no_membership() -> None:
    rows = rows_of({"resourceType": "Observation", "focus": [{"reference": "Patient/1"}]})
    assert (param_id("Observation", "focus"), self_key("Patient", "1")) in rows.references
    assert compartment_key("Patient", "1", "Observation") not in rows.keys


@pytest.mark.parametrize(
    ("resource", "ts"),
    [
        ({"resourceType": "Observation", "effectiveDateTime": "2020-05-01"}, "2020-05-01"),
        ({"resourceType": "Encounter", "period": {"start": "2020-05-01T10:00:00Z"}}, "2020-05-01T10:00:00Z"),
        ({"resourceType": "Encounter", "period": {"end": "2020-05-01T10:00:00Z"}}, None),
        ({"resourceType": "Slot", "start": "2020-05-01T10:00:00Z"}, "2020-05-01T10:00:00Z"),
        ({"resourceType": "Patient", "birthDate": "2020-05-01"}, None),
        ({"resourceType": "Observation", "effectiveDateTime": "2023-02-30"}, None),
    ],
)
def test_clinical_time(resource: dict[str, Any], ts: str | None) -> None:
    assert rows_of(resource).ts == (None if ts is None else day(ts)[0])
