"""Numbers with exponents that nobody can write out: refused or compared, never worked out digit by digit."""

import pytest

from tests.client import Client
from tests.hardening.conformance.hostile import URL, put

NUMBERS = (
    "1e400",
    "1e5000",
    "1e999999999",
    "1e99999999999999999999",
    "-1e999999999",
    "1e-999999999",
    "0e999999999",
    "1" * 5_000,
)
EXPRESSIONS = (
    "%v + 1", "%v * %v", "%v.round(3)", "%v.toString().length()", "%v.power(9)", "%v.precision()", "%v.truncate()",
    "%v.lowBoundary(30)", "%v ~ 1.0", "%v mod 7", "%v div 3", "%v.sqrt()", "%v = %v",
)  # fmt: skip
QUANTITY = '{"value":%s,"system":"http://unitsofmeasure.org","code":"kg"}'
OBSERVATION = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":%s}'


def _profile(bound: str, number: str) -> str:
    value = f'"{bound}Quantity":{QUANTITY % number}'
    element = f'{{"id":"Observation.value[x]","path":"Observation.value[x]",{value}}}'
    return (
        f'{{"resourceType":"StructureDefinition","id":"bounds","url":"{URL}bounds","name":"Bounds","status":"active",'
        '"kind":"resource","abstract":false,"type":"Observation","derivation":"constraint",'
        '"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","differential":{"element":'
        f'[{{"id":"Observation","path":"Observation"}},{element}]}}}}'
    )


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
def test_everywhere(client: Client, number: str) -> None:
    observation = OBSERVATION % (QUANTITY % number)
    asked = "".join(f'{{"name":"expression","valueString":"{each}"}},' for each in EXPRESSIONS)
    parts = f'{{"name":"name","valueString":"v"}},{{"name":"value","valueDecimal":{number}}}'
    variable = f'{{"name":"variable","part":[{parts}]}}'
    resource = '{"name":"resource","resource":{"resourceType":"Patient"}}'
    answers = [
        client.post("Observation", observation), client.post("Observation/$validate", observation),
        client.post("$fhirpath", f'{{"resourceType":"Parameters","parameter":[{asked}{variable},{resource}]}}'),
        client.get(f"Observation?value-quantity={number}|http://unitsofmeasure.org|kg"),
        client.get(f"Observation?value-quantity=ap{number}"), client.get(f"RiskAssessment?probability=gt{number}"),
        client.post("$convert-quantity", '{"resourceType":"Parameters","parameter":[{"name":"value","valueQuantity":%s},'
                    '{"name":"code","valueCode":"g"}]}' % (QUANTITY % number)),
    ]  # fmt: skip
    for bound in ("minValue", "maxValue"):
        answers.append(client.request("PUT", "StructureDefinition/bounds", _profile(bound, number)))
        claims = OBSERVATION % (QUANTITY % "1e-8")
        answers.append(client.post(f"Observation/$validate?profile={URL}bounds", claims))
    assert [answer.status for answer in answers if answer.status >= 500] == []
    assert put(client, {"resourceType": "Patient", "id": "on"}).status in (200, 201)
