"""Functions and rules that HL7's suite for R4 leaves out: the drafts' newer ones, and what R4 adds to FHIRPath.

https://hl7.org/fhirpath/N1/, https://build.fhir.org/ig/HL7/FHIRPath/, https://hl7.org/fhir/R4/fhirpath.html
"""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import FhirPathError, evaluate
from fhir_server.fhirpath.functions import FUNCTIONS

CODING = {"system": "http://loinc.org", "code": "1-8"}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [
        {"family": "Diop", "given": ["Awa", "Marie"], "modifierExtension": [{"url": "http://x/m"}]},
        {"use": "usual", "given": ["Ada"]},
    ],
    "birthDate": "1974-12-25",
    "maritalStatus": {"coding": [CODING, {"system": "s", "code": "x"}], "text": "one"},
    "communication": [{"language": {"coding": [{**CODING, "display": "D"}], "text": "two"}}],
    "extension": [{"url": "http://x/q", "valueQuantity": {"value": Decimal("1.50"), "unit": "g", "code": "g"}}],
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
}

ROWS: list[tuple[str, list[Any]]] = [
    ("1 'g'.toQuantity('mg')", [(Decimal(1000), "mg")]),
    ("'37 \\'Cel\\''.toQuantity('K')", [(Decimal("310.15"), "K")]),
    ("'5 days'.toQuantity('h')", [(Decimal(120), "h")]),
    ("'5 days'.convertsToQuantity('mg')", [False]),
    ("@2014-01-05T10:30:00.002-07:00.yearOf()", [2014]),
    ("@2014-01-05T10:30:00.002-07:00.millisecondOf()", [2]),
    ("@2014-01-05T10:30:00.002-07:00.timezoneOffsetOf()", [Decimal(-7)]),
    ("@2014-01-05T10:30:00.002-07:00.timeOf()", ["10:30:00.002"]),
    ("@2014-01-05T10:30:00.002-07:00.dateOf()", ["2014-01-05"]),
    ("@T10:30.hourOf() | @T10:30.minuteOf()", [10, 30]),
    ("@2012.monthOf()", []),
    ("birthDate.duration(@2024-12-24, 'years')", [49]),
    ("birthDate.difference(@2024-12-24, 'years')", [50]),
    ("@2024-02-29.duration(@2024-01-31, 'months')", [0]),
    ("@2024-03-31.duration(@2024-01-30, 'months')", [-2]),
    ("@2024-01-01T00:00:00Z.duration(@2024-01-01T02:30:00+01:00, 'hours')", [1]),
    ("@2024-01-06.difference(@2024-01-07, 'weeks')", [1]),
    ("@2024-01.duration(@2024-02, 'days')", []),
    ("@T23:59:59.difference(@T00:00:00, 'hours')", [-23]),
    ("@2016-12-31T23:59:59.9Z < @2016-12-31T23:59:60Z and @2016-12-31T23:59:60Z < @2017-01-01T00:00:00Z", [True]),
    ("@2016-12-31T23:59:60Z = @2017-01-01T00:59:60+01:00 and '2016-12-31T23:59:61Z'.convertsToDateTime().not()", [True]),
    ("@2016-12-31T23:59:60Z + 1 second", ["2017-01-01T00:00:01Z"]),
    ("name.given.sort($this desc)", ["Marie", "Awa", "Ada"]),
    ("name.sort(-given.first(), family asc).given.first()", ["Awa"]),
    ("name.defineVariable('n').given.select(%n.family.first() & ' ' & $this)", ["Diop Awa", "Diop Marie", "Diop Ada"]),
    ("name.select(defineVariable('n').given.select(%n.given.first() & $this))", ["AwaAwa", "AwaMarie", "AdaAda"]),
    ("defineVariable('a', 1).select(%a + 1)", [2]),
    ("coalesce({}, name.text, 'x', 'y')", ["x"]),
    ("name.repeatAll(given)", ["Awa", "Marie", "Ada"]),
    ("(1 | 2 | 3.5).sum() | (1 | 2).avg()", [Decimal("6.5"), Decimal("1.5")]),
    ("(1 'g' | 1 'mg').max() | (@2020 | @2021).min()", [(Decimal(1), "g"), "2020"]),
    ("{}.sum() | {}.min() | {}.avg()", []),
    ("name.given.first().matches('^AWA$', 'i')", [True]),
    ("'a-b'.replaceMatches('(?<x>A)-', '${x}+', 'i')", ["a+b"]),
    ("'(03) 5555 6473'.replaceMatches('[^0-9]', '').replaceMatches('^.+(?=.{4}$)', '')", ["6473"]),
    ("active.getValue().type().namespace | active.type().namespace", ["System", "FHIR"]),
    ("name.getValue() | name.given.getValue()", []),
    ("name.elementDefinition().path", ["Patient.name", "Patient.name"]),
    ("name.where(use = 'usual').given.elementDefinition().min", [0]),
    ("extension.value.elementDefinition().path", ["Extension.value[x]"]),
    ("name.checkModifiers('http://x/m').count()", [2]),
    ("text.div.htmlChecks() | text.div.htmlChecks2()", [True]),
    ("birthDate.htmlChecks()", []),
    ("maritalStatus ~ communication.language", [True]),
    ("maritalStatus.coding.first() ~ communication.language.coding.first()", [True]),
    ("maritalStatus.coding.last() ~ communication.language.coding.first()", [False]),
    ("maritalStatus.coding.first() = communication.language.coding.first()", [False]),
    ("maritalStatus.coding.first().subsumes(communication.language)", [True]),
    ("%sct | %loinc | %ucum", ["http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"]),
    ("%`vs-x` | %'ext-y'", ["http://hl7.org/fhir/ValueSet/x", "http://hl7.org/fhir/StructureDefinition/y"]),
    ("'\\u00e9\\t\\'\\\"\\\\\\/\\`'", ["é\t'\"\\/`"]),
    ("9007199254740993 = 9007199254740992", [False]),
    ("0.1 + 0.2 = 0.3", [True]),
    ("1.50.precision() | extension.value.value.precision()", [2]),
    ("9223372036854775807 + 1", []),
    ("extension.value > 1499 'mg' and extension.value < 0.0016 'kg'", [True]),
    ("1 year = 1 'a' or 1 month = 30 days", []),
    ("1 year ~ 1 'a'", [True]),
    ("@2020-01-01T10:00:00Z = @2020-01-01T11:00:00+01:00", [True]),
    ("@2020-01-01T10:00:00 = @2020-01-01T10:00:00Z", []),
    ("@2020-02-29 + 1 year", ["2021-02-28"]),
    ("active is boolean and active is FHIR.boolean and (active is System.Boolean).not()", [True]),
    ("true is Boolean and true is System.Boolean and (true is boolean).not()", [True]),
    ("Patient is DomainResource and Patient is Resource and Patient.name.first() is Element", [True]),
    ("conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')", [True]),
    ("conformsTo('http://hl7.org/fhir/StructureDefinition/Observation|4.0.1')", [False]),
]


def values(expression: str, **options: Any) -> list[Any]:
    return [node[1] for node in evaluate(expression, PATIENT, base_registry(), **options)]


@pytest.mark.parametrize(("expression", "expected"), ROWS)
def test_values(expression: str, expected: list[Any]) -> None:
    assert values(expression) == expected


REFUSED = [
    ("defineVariable('a').defineVariable('a')", "a variable %a already"),
    ("defineVariable('resource')", "a variable %resource already"),
    ("defineVariable('v')", "a variable %v already"),
    ("defineVariable(name.family)", "written out"),
    ("(defineVariable('a', 1).select(%a)) | %a", "no variable %a"),
    ("name.select(defineVariable('a')).select(%a)", "no variable %a"),
    ("name.checkModifiers()", "a modifier extension"),
    ("birthDate.duration(@2020, 'fortnights')", "counts years, months"),
    ("@T10:00.duration(@2020-01-01T10:00:00Z, 'hours')", "a time with a date"),
    ("'a'.matches('a', 'x')", "flags of a regular expression"),
    ("maritalStatus.coding.first().subsumes(maritalStatus.coding.last())", "of one code system"),
    ("active.memberOf('http://x')", "works on codes"),
    ("maritalStatus.memberOf('http://x')", "cannot be told here"),
    ("conformsTo('http://x')", "cannot be told here"),
    ("'" + "9" * 10 + "'.toInteger() + " + "9" * 61, "at most 60 digits"),
    ("1" + " + 1" * 300, "nested too deeply"),
    ("name" + ".where(true)" * 300, "nested too deeply"),
    ("'" + "a" * 20_000 + "'", "at most 20000 characters"),
    ("name.given.matchs('x')", "Did you mean 'matches'?"),
]


@pytest.mark.parametrize(("expression", "text"), REFUSED)
def test_mistakes_are_told(expression: str, text: str) -> None:
    with pytest.raises(FhirPathError, match=".") as caught:
        values(expression, variables={"v": []})
    assert text in str(caught.value)


STRICT = [
    "name.as(HumanName)", "(name as HumanName)", "children().first()", "descendants()[0]", "descendants().where(true).tail()",
]  # fmt: skip


@pytest.mark.parametrize("expression", STRICT)
def test_strictness_is_asked_for(expression: str) -> None:
    values(expression)
    with pytest.raises(FhirPathError):
        values(expression, strict=True)


def test_every_function_of_the_language_is_there() -> None:
    """N1, the current draft's trial use, and R4's additions; but for those that docs/howto/fhirpath.md names."""
    named = """
        empty exists all allTrue anyTrue allFalse anyFalse subsetOf supersetOf count distinct isDistinct where select sort
        repeat repeatAll ofType coalesce single first last tail skip take intersect exclude union combine iif toBoolean
        convertsToBoolean toInteger convertsToInteger toDate convertsToDate toDateTime convertsToDateTime toDecimal
        convertsToDecimal toQuantity convertsToQuantity toString convertsToString toTime convertsToTime indexOf lastIndexOf
        substring startsWith endsWith contains upper lower replace matches matchesFull replaceMatches length toChars encode
        decode escape unescape trim split join abs ceiling exp floor ln log power round sqrt truncate children descendants
        trace now timeOfDay today defineVariable lowBoundary highBoundary precision yearOf monthOf dayOf hourOf minuteOf
        secondOf millisecondOf timezoneOffsetOf dateOf timeOf duration difference comparable is as not aggregate sum min max
        avg type extension hasValue getValue resolve elementDefinition slice checkModifiers conformsTo memberOf subsumes
        subsumedBy htmlChecks
    """.split()
    assert [name for name in named if name not in FUNCTIONS] == []
