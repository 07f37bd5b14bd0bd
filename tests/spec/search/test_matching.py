"""The tables of https://hl7.org/fhir/R4/search.html as tests: what each kind of parameter matches.

Every table is followed by rows that must fail, which prove that its runner can tell.
"""

from typing import Any

import pytest

from fhir_server.core.context import Context
from tests.search.query_walk import bundle, fill, ids, new_context

LOINC, UCUM, ACME = "http://loinc.org", "http://unitsofmeasure.org", "http://acme.org/patient"


def _observation(id_: str, **more: Any) -> dict[str, Any]:
    code = {"coding": [{"system": LOINC, "code": "1234-5", "display": "Serum sodium level"}]}
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": code, **more}


def _value(number: Any, code: str = "mg", system: str | None = UCUM, unit: str | None = None) -> dict[str, Any]:
    quantity = {"value": number, "unit": unit or code, "code": code, "system": system}
    return {"valueQuantity": {k: v for k, v in quantity.items() if v is not None}}


RESOURCES: list[dict[str, Any]] = [
    # -- date
    _observation("day", effectiveDateTime="2013-01-14"),
    _observation("minute", effectiveDateTime="2013-01-14T10:00:00Z"),
    _observation("midnight", effectiveDateTime="2013-01-14T00:00:00Z"),
    _observation("month", effectiveDateTime="2013-01"),
    _observation("open", effectivePeriod={"start": "2013-01-21"}),
    _observation("until", effectivePeriod={"end": "2013-01-21"}),
    _observation("march", effectivePeriod={"start": "2013-01-14", "end": "2013-03-20"}),
    # -- quantity
    _observation("v5.4", **_value(5.4)),
    _observation("v5.40", **_value(5.44)),
    _observation("v5.45", **_value(5.45)),
    _observation("vg", **_value(0.0054, "g")),
    _observation("vlocal", **_value(5.4, "mg", "http://local.example")),
    _observation("vtext", **_value(5.4, "milligram", None)),
    # -- string, token, uri, reference on patients and others
    {
        "resourceType": "Patient", "id": "eve", "gender": "female", "active": True,
        "name": [{"family": "Dupont", "given": ["Eve"]}],
        "identifier": [
            {"system": ACME, "value": "2345", "type": {"coding": [{"system": "http://t.example", "code": "MR"}]}}
        ],
    },
    {
        "resourceType": "Patient", "id": "evelyn", "active": False,
        "name": [{"family": "ÉVÉ-Smith", "given": ["Evelyn"]}],
    },
    {"resourceType": "Patient", "id": "severine", "name": [{"family": "Stone", "given": ["Severine"]}]},
    {
        "resourceType": "Condition", "id": "headache", "subject": {"reference": "Patient/eve"},
        "code": {"coding": [{"system": "http://acme.org/conditions", "code": "ha125", "display": "Tension headache"}]},
    },
    {
        "resourceType": "Condition", "id": "nosystem", "subject": {"reference": "Patient/evelyn"},
        "code": {"coding": [{"code": "ha125"}], "text": "a sore head"},
    },
    {"resourceType": "ValueSet", "id": "vs", "url": "http://acme.org/fhir/ValueSet/123", "status": "active"},
    {
        "resourceType": "ValueSet", "id": "vs-history", "status": "draft",
        "url": "http://acme.org/fhir/ValueSet/123/_history/5",
    },
    {"resourceType": "ValueSet", "id": "vs-other", "url": "http://acme.org/fhir/ValueSet/124", "status": "active"},
    # -- composite
    _observation(
        "pressure",
        component=[
            {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, **_value(130, "mm[Hg]")},
            {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, **_value(80, "mm[Hg]")},
        ],
    ),
    # -- near
    {
        "resourceType": "Location", "id": "riyadh", "name": "Riyadh",
        "position": {"latitude": 24.7136, "longitude": 46.6753},
    },
    {"resourceType": "Location", "id": "jeddah", "position": {"latitude": 21.4858, "longitude": 39.1925}},
    # -- number
    {
        "resourceType": "RiskAssessment", "id": "risk100", "status": "final", "subject": {"reference": "Patient/eve"},
        "prediction": [{"probabilityDecimal": 100}],
    },
    {
        "resourceType": "RiskAssessment", "id": "risk100.4", "status": "final", "subject": {"reference": "Patient/eve"},
        "prediction": [{"probabilityDecimal": 100.4}],
    },
    {
        "resourceType": "RiskAssessment", "id": "risk99.5", "status": "final", "subject": {"reference": "Patient/eve"},
        "prediction": [{"probabilityDecimal": 99.5}],
    },
    {
        "resourceType": "List", "id": "l1", "status": "current", "mode": "working",
        "entry": [{"item": {"reference": "Patient/eve"}}, {"item": {"reference": "Condition/headache"}}],
    },
]  # fmt: skip

_DATED = {"day", "minute", "midnight", "month", "open", "until", "march"}

# Search, what it matches.
TABLE: list[tuple[str, set[str]]] = [
    # https://hl7.org/fhir/R4/search.html#prefix, the examples on dates
    ("Observation?date=2013-01-14", {"day", "minute", "midnight"}),
    ("Observation?date=eq2013-01-14", {"day", "minute", "midnight"}),
    ("Observation?date=ne2013-01-14", {"month", "open", "until", "march"}),
    ("Observation?date=lt2013-01-14T10:00:00Z", {"day", "midnight", "month", "until", "march"}),
    ("Observation?date=gt2013-01-14T10:00:00Z", {"day", "month", "open", "until", "march"}),
    ("Observation?date=ge2013-03-14", {"open", "march"}),
    ("Observation?date=le2013-03-14", _DATED),
    ("Observation?date=sa2013-01-14", {"open"}),
    ("Observation?date=eb2013-01-15", {"day", "minute", "midnight"}),
    ("Observation?date=2013-01", {"day", "minute", "midnight", "month"}),
    ("Observation?date=2013-01-14T10:00:00Z", {"minute"}),
    ("Observation?date=2013-01-14T13:00:00%2B03:00", {"minute"}),
    ("Observation?date=2013-01-14T13:00:00+03:00", {"minute"}),
    ("Observation?date=2013-01-14T10:00Z", {"minute"}),
    ("Observation?date=ge2013-01-14&date=lt2013-01-15", {"day", "minute", "midnight", "month", "until", "march"}),
    ("Observation?date=2013-01-14T10:00:00Z,sa2013-01-20", {"minute", "open"}),
    ("Observation?date:missing=true", {"v5.4", "v5.40", "v5.45", "vg", "vlocal", "vtext", "pressure"}),
    # #number
    ("RiskAssessment?probability=100", {"risk100", "risk100.4", "risk99.5"}),
    ("RiskAssessment?probability=100.00", {"risk100"}),
    ("RiskAssessment?probability=1e2", {"risk100", "risk100.4", "risk99.5"}),
    ("RiskAssessment?probability=lt100", {"risk99.5"}),
    ("RiskAssessment?probability=le100", {"risk99.5", "risk100"}),
    ("RiskAssessment?probability=gt100", {"risk100.4"}),
    ("RiskAssessment?probability=ge100", {"risk100", "risk100.4"}),
    ("RiskAssessment?probability=ne100.00", {"risk100.4", "risk99.5"}),
    ("RiskAssessment?probability=ap95", {"risk100", "risk100.4", "risk99.5"}),
    ("RiskAssessment?probability=ap85", set()),
    # #quantity
    ("Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", {"v5.4", "v5.40", "vg"}),
    ("Observation?value-quantity=5.40|http://unitsofmeasure.org|mg", {"v5.4", "vg"}),
    ("Observation?value-quantity=0.0054|http://unitsofmeasure.org|g", {"v5.4", "v5.40", "vg"}),
    ("Observation?value-quantity=5.4", {"v5.4", "v5.40", "vlocal", "vtext"}),
    ("Observation?value-quantity=5.4||milligram", {"vtext"}),
    ("Observation?value-quantity=5.4|http://local.example|mg", {"vlocal"}),
    ("Observation?value-quantity=gt5.4|http://unitsofmeasure.org|mg", {"v5.40", "v5.45"}),
    ("Observation?value-quantity=le5.4e0|http://unitsofmeasure.org|mg", {"v5.4", "vg"}),
    # #string
    ("Patient?given=eve", {"eve", "evelyn"}),
    ("Patient?given:contains=eve", {"eve", "evelyn", "severine"}),
    ("Patient?given:exact=Eve", {"eve"}),
    ("Patient?given:exact=eve", set()),
    ("Patient?family=eve", {"evelyn"}),
    ("Patient?name=eve,sto", {"eve", "evelyn", "severine"}),
    ("Patient?name=eve&name=dup", {"eve"}),
    # #token
    ("Patient?identifier=http://acme.org/patient|2345", {"eve"}),
    ("Patient?identifier=2345", {"eve"}),
    ("Patient?identifier=http://acme.org/patient|", {"eve"}),
    ("Patient?identifier=|2345", set()),
    ("Patient?identifier:of-type=http://t.example|MR|2345", {"eve"}),
    ("Patient?identifier:of-type=http://t.example|MR|2346", set()),
    ("Patient?gender=female", {"eve"}),
    ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", {"eve"}),
    ("Patient?gender=http://wrong.example|female", set()),
    ("Patient?gender:not=male,other", {"eve", "evelyn", "severine"}),
    ("Patient?gender:not=female", {"evelyn", "severine"}),
    ("Patient?active=true", {"eve"}),
    ("Condition?code=http://acme.org/conditions|ha125", {"headache"}),
    ("Condition?code=ha125", {"headache", "nosystem"}),
    ("Condition?code=|ha125", {"nosystem"}),
    ("Condition?code:text=headache", {"headache"}),
    ("Condition?code:text=sore", {"nosystem"}),
    ("Observation?status:not=final", set()),
    ("Observation?code:in=http://hl7.org/fhir/ValueSet/observation-vitalsignresult", set()),
    ("Observation?code:in=http://hl7.org/fhir/ValueSet/observation-vitalsignresult&status=final", set()),
    ("Observation?status:in=http://hl7.org/fhir/ValueSet/observation-status&value-quantity=5.45", {"v5.45"}),
    # #uri
    ("ValueSet?url=http://acme.org/fhir/ValueSet/123", {"vs"}),
    ("ValueSet?url:below=http://acme.org/fhir/", {"vs", "vs-history", "vs-other"}),
    ("ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", {"vs", "vs-history"}),
    # #reference
    ("Condition?subject=Patient/eve", {"headache"}),
    ("Condition?subject:Patient=eve", {"headache"}),
    ("Condition?patient=eve,evelyn", {"headache", "nosystem"}),
    ("Condition?subject=http://localhost/t/test/fhir/Patient/eve", {"headache"}),
    ("Condition?subject=http://elsewhere.example/Patient/eve", set()),
    ("Condition?subject=Patient/eve/_history/1", {"headache"}),
    # #composite
    ("Observation?component-code-value-quantity=8480-6$gt120", {"pressure"}),
    ("Observation?component-code-value-quantity=http://loinc.org|8480-6$130|" + UCUM + "|mm[Hg]", {"pressure"}),
    ("Observation?component-code-value-quantity=8462-4$gt120", set()),
    ("Observation?code-value-quantity=1234-5$5.45", {"v5.45"}),
    # #chaining, #has
    ("Condition?subject.name=dup", {"headache"}),
    ("Condition?subject:Patient.gender=female", {"headache"}),
    ("Condition?patient.identifier=http://acme.org/patient|2345", {"headache"}),
    ("Patient?_has:Condition:patient:code=ha125", {"eve", "evelyn"}),
    ("Patient?_has:Condition:patient:code=http://acme.org/conditions|ha125", {"eve"}),
    ("Condition?patient._has:RiskAssessment:patient:probability=gt100", {"headache"}),
    ("Patient?_has:Condition:patient:patient.name=dup", {"eve"}),
    # #list, near
    ("Patient?_list=l1", {"eve"}),
    ("Condition?_list=List/l1", {"headache"}),
    ("Location?near=24.7|46.7|20|km", {"riyadh"}),
    ("Location?near=24.7|46.7|1000|km", {"riyadh", "jeddah"}),
    ("Location?near=24.7|46.7|20|m", set()),
    # #all
    ("Patient?_id=eve,evelyn", {"eve", "evelyn"}),
    ("Patient?_lastUpdated=gt2020-01-01&gender=female", {"eve"}),
    ("Patient?_lastUpdated=lt2020-01-01", set()),
    # https://hl7.org/fhir/R4/search_filter.html
    ('Patient?_filter=given eq "Eve" or given sw "sev"', {"eve", "severine"}),
    ('Patient?_filter=family co "to" and not (gender eq female)', {"severine"}),
    ("Patient?_filter=not (gender pr true)", {"evelyn", "severine"}),
    ("Condition?_filter=code eq ha125 and patient.name eq dup", {"headache"}),
    ("RiskAssessment?_filter=probability ge 100 and probability lt 100.2", {"risk100"}),
    ('Patient?_filter=given ew "lyn"', {"evelyn"}),
]  # fmt: skip

# Rows that are wrong on purpose.
WRONG: list[tuple[str, set[str]]] = [
    ("Observation?date=2013-01-14", {"day", "minute", "midnight", "month"}),
    ("Patient?given=eve", {"eve", "evelyn", "severine"}),
    ("Condition?code=|ha125", {"headache", "nosystem"}),
]


@pytest.fixture(scope="module")
def filled() -> Context:
    """A tenant with the resources of the tables."""
    ctx = new_context()
    fill(ctx, RESOURCES)
    return ctx


def found(ctx: Context, search: str) -> set[str]:
    path, _, query = search.partition("?")
    return {each.partition("/")[2] for each in ids(bundle(ctx, path, f"{query.replace('%20', ' ')}&_count=100"))}


@pytest.mark.parametrize(("search", "expected"), TABLE, ids=[search for search, _ in TABLE])
def test_table(filled: Context, search: str, expected: set[str]) -> None:
    """The search matches exactly these resources."""
    assert found(filled, search) == expected


@pytest.mark.parametrize(("search", "wrong"), WRONG, ids=[search for search, _ in WRONG])
def test_runner_can_tell(filled: Context, search: str, wrong: set[str]) -> None:
    """A row with a wrong expectation does not pass."""
    assert found(filled, search) != wrong
