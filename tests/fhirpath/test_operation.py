"""$fhirpath over HTTP: what it evaluates on, what it answers, what it keeps from whom, what it refuses."""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.validation.run import check
from tests.client import Answer, Client
from tests.conftest import TestTenant

SHORT = {"extension": [{"url": "http://x/short", "valueBoolean": True}]}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Diop", "given": ["Awa", "Marie"], "_given": [None, SHORT]}, {"text": "Awa D."}],
    "gender": "female",
    "_birthDate": {"extension": [{"url": "http://x/unknown", "valueCode": "unknown"}]},
    "contact": [{"name": {"text": "Ali"}}],
    "deceasedBoolean": False,
}


def parameters(*expressions: str, resource: Any = None, **values: Any) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [{"name": "expression", "valueString": each} for each in expressions]
    entries += [{"name": "resource", "resource": resource}] if resource is not None else []
    for name, value in values.items():
        entries.append({"name": name, ("valueBoolean" if isinstance(value, bool) else "valueString"): value})
    return {"resourceType": "Parameters", "parameter": entries}


def results(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    assert answer.json["resourceType"] == "Parameters"
    return [flat(entry) for entry in answer.json.get("parameter", [])]


def flat(entry: dict[str, Any]) -> dict[str, Any]:
    """A parameter as {part: value}, its items as a list of (type, location, value)."""
    found: dict[str, Any] = {"items": [], "traces": []}
    for part in entry["part"]:
        if part["name"] == "item":
            found["items"].append(item(part))
        elif part["name"] == "trace":
            found["traces"].append((part["part"][0]["valueString"], [item(each) for each in part["part"][1:]]))
        else:
            found[part["name"]] = part["valueString"]
    return found


def item(part: dict[str, Any]) -> tuple[str, str | None, Any]:
    parts = {each["name"]: each for each in part["part"]}
    value = {key: kept for key, kept in parts.get("value", parts.get("json", {})).items() if key != "name"}
    return parts["type"]["valueString"], parts.get("location", {}).get("valueString"), value


@pytest.fixture(scope="module")
def patient(client: Client) -> str:
    """The id of a stored patient."""
    return str(client.create(PATIENT)["id"])


ITEMS: list[tuple[str, list[tuple[str, str | None, Any]]]] = [
    ("name.family", [("string", "Patient.name[0].family", {"valueString": "Diop"})]),
    (
        "name.given",
        [
            ("string", "Patient.name[0].given[0]", {"valueString": "Awa"}),
            ("string", "Patient.name[0].given[1]", {"valueString": "Marie", "_valueString": SHORT}),
        ],
    ),
    ("birthDate", [("date", "Patient.birthDate", {"_valueDate": PATIENT["_birthDate"]})]),
    ("deceased", [("boolean", "Patient.deceased", {"valueBoolean": False})]),
    ("gender", [("code", "Patient.gender", {"valueCode": "female"})]),
    ("name[1]", [("HumanName", "Patient.name[1]", {"valueHumanName": {"text": "Awa D."}})]),
    ("contact", [("Patient.contact", "Patient.contact[0]", {"valueString": '{"name":{"text":"Ali"}}'})]),
    ("name.count()", [("System.Integer", None, {"valueInteger": 2})]),
    ("1.50", [("System.Decimal", None, {"valueDecimal": 1.5})]),
    ("5 'mg'", [("System.Quantity", None, {"valueQuantity": {
        "value": 5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}})]),
    ("3 days", [("System.Quantity", None, {"valueQuantity": {"value": 3, "unit": "day"}})]),
    ("@2020-05", [("System.Date", None, {"valueDate": "2020-05"})]),
    ("@2020-05-01T10", [("System.DateTime", None, {"valueString": "2020-05-01T10"})]),
    ("@2020-05-01T10:00:00Z", [("System.DateTime", None, {"valueDateTime": "2020-05-01T10:00:00Z"})]),
    ("@T10:00", [("System.Time", None, {"valueString": "10:00"})]),
    ("''", [("System.String", None, {"valueString": '""'})]),
    ("gender.type()", [("System.TypeInfo", None, {"valueString": "FHIR.code"})]),
    ("3000000000", [("System.Integer", None, {"valueDecimal": 3000000000})]),
    ("{}", []),
    ("name.given = %resource.name.given", [("System.Boolean", None, {"valueBoolean": True})]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "items"), ITEMS)
def test_items_have_type_place_and_value(
    client: Client, patient: str, expression: str, items: list[tuple[str, str | None, Any]]
) -> None:
    (result,) = results(client.post(f"Patient/{patient}/$fhirpath", parameters(expression)))
    assert result["items"] == items
    assert result["expression"] == expression


@pytest.mark.parametrize("path", ["$fhirpath", "Patient/$fhirpath"])
def test_a_resource_may_be_sent_along(client: Client, path: str) -> None:
    found = results(client.post(path, parameters("name.family", "name.text", resource=PATIENT)))
    assert [result["items"][0][2] for result in found] == [{"valueString": "Diop"}, {"valueString": "Awa D."}]


def test_it_can_be_asked_with_get(client: Client, patient: str) -> None:
    (result,) = results(client.get(f"Patient/{patient}/$fhirpath?expression=gender"))
    assert result["items"] == [("code", "Patient.gender", {"valueCode": "female"})]


def test_each_item_of_the_context_is_evaluated_on(client: Client, patient: str) -> None:
    answer = client.post(f"Patient/{patient}/$fhirpath", parameters("given | text", context="name"))
    found = results(answer)
    assert [result["context"] for result in found] == ["Patient.name[0]", "Patient.name[1]"]
    assert [[place for _, place, _ in result["items"]] for result in found] == [
        ["Patient.name[0].given[0]", "Patient.name[0].given[1]"],
        ["Patient.name[1].text"],
    ]


def test_variables_and_traces(client: Client, patient: str) -> None:
    body = parameters("name.given.trace('all', $this).where($this = %wanted)")
    value = {"name": "value", "valueString": "Marie"}
    variable = {"name": "variable", "part": [{"name": "name", "valueString": "wanted"}, value]}
    body["parameter"].append(variable)
    (result,) = results(client.post(f"Patient/{patient}/$fhirpath", body))
    assert [value["valueString"] for _, _, value in result["items"]] == ["Marie"]
    ((name, traced),) = result["traces"]
    assert (name, [value["valueString"] for _, _, value in traced]) == ("all", ["Awa", "Marie"])


def test_a_variable_may_be_a_resource(client: Client) -> None:
    body = parameters("%other.name.family", resource=PATIENT)
    value = {"name": "value", "resource": {"resourceType": "Patient", "name": [{"family": "Sow"}]}}
    body["parameter"].append({"name": "variable", "part": [{"name": "name", "valueString": "other"}, value]})
    (result,) = results(client.post("$fhirpath", body))
    assert result["items"] == [("string", None, {"valueString": "Sow"})]


@pytest.fixture(scope="module")
def observations(client: Client, patient: str) -> dict[str, str]:
    """Ids of observations about the patient and about another one."""
    other = client.create({"resourceType": "Patient", "name": [{"family": "Sow"}]})["id"]
    found = {}
    for whose, id_ in (("own", patient), ("others", str(other))):
        content = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        made = client.create({**content, "subject": {"reference": f"Patient/{id_}"}})
        found[whose], found[f"{whose} patient"] = str(made["id"]), id_
    return found


def test_resolve_finds_what_is_stored(client: Client, observations: dict[str, str]) -> None:
    path = f"Observation/{observations['own']}/$fhirpath"
    found = results(client.post(path, parameters("subject.resolve().name.family", "subject.resolve() is Patient")))
    assert [result["items"][0][2] for result in found] == [{"valueString": "Diop"}, {"valueBoolean": True}]


def test_resolve_does_not_find_what_the_caller_may_not_read(
    tenant: TestTenant, client: Client, observations: dict[str, str]
) -> None:
    own = tenant.client("patient/*.rs", patient=observations["own patient"])
    body = parameters(
        "'Patient/{own patient}'.resolve().name.family".format(**observations),
        "'Patient/{others patient}'.resolve()".format(**observations),
        "'Patient/nobody'.resolve()",
    )
    found = results(own.post(f"Patient/{observations['own patient']}/$fhirpath", body))
    assert [len(result["items"]) for result in found] == [1, 0, 0]
    assert own.post(f"Observation/{observations['others']}/$fhirpath", parameters("status")).status == 404
    assert own.post(f"Observation/{observations['own']}/$fhirpath", parameters("status")).status == 200


def test_without_the_right_to_read_there_is_nothing(tenant: TestTenant, client: Client, patient: str) -> None:
    nobody = tenant.client("system/Observation.rs")
    assert nobody.post(f"Patient/{patient}/$fhirpath", parameters("name")).status == 403
    (result,) = results(nobody.post("$fhirpath", parameters(f"'Patient/{patient}'.resolve()", resource=PATIENT)))
    assert result["items"] == []


def test_resolving_is_logged(client: Client, observations: dict[str, str]) -> None:
    client.post(f"Observation/{observations['own']}/$fhirpath", parameters("subject.resolve().name"))
    events = client.search(f"AuditEvent?entity=Patient/{observations['own patient']}&_count=1")
    assert events


def test_terminology_and_profiles_answer(client: Client) -> None:
    value_set = "http://hl7.org/fhir/ValueSet/administrative-gender"
    profile = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    found = results(client.post("$fhirpath", parameters(f"gender.memberOf('{value_set}')", resource=PATIENT)))
    found += results(client.post("$fhirpath", parameters(f"conformsTo('{profile}')", resource=observation)))
    assert [result["items"][0][2] for result in found] == [{"valueBoolean": True}, {"valueBoolean": False}]


PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "bp"},
    "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]},
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "exam"}]},
    ],
    "component": [
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}},
    ],
}
SLICED = [
    ("category.slice('{bp}', 'VSCat').coding.code", ["vital-signs"]),
    ("component.slice('{bp}', 'SystolicBP').code.coding.code", ["8480-6"]),
    ("component.slice('{bp}', 'Observation.component:DiastolicBP').code.coding.code", ["8462-4"]),
    ("category.slice('{bp}', 'VSCat').slice('{bp}', 'SystolicBP')", []),
]


@pytest.mark.parametrize(("expression", "codes"), SLICED)
def test_slices_of_a_profile(client: Client, expression: str, codes: list[str]) -> None:
    expression = expression.replace("{bp}", "http://hl7.org/fhir/StructureDefinition/bp")
    (result,) = results(client.post("$fhirpath", parameters(expression, resource=PRESSURE)))
    assert [value["valueCode"] for _, _, value in result["items"]] == codes


REFUSED = [
    ("$fhirpath", parameters("name.slice('http://hl7.org/fhir/StructureDefinition/bp', 'no')", resource=PATIENT), "a slice that"),
    ("Patient/{id}/$fhirpath", parameters("name.\n  famly"), "There is no element 'famly' in HumanName. (line 2, column 3"),
    ("Patient/{id}/$fhirpath", parameters("name.given.length()"), "'length' needs one item but was given 2. (line 1, column 12"),
    ("Patient/{id}/$fhirpath", parameters("name.where("), "ends too early"),
    ("Patient/{id}/$fhirpath", parameters("name", context="nam"), "There is no element 'nam' in Patient."),
    ("Patient/{id}/$fhirpath", parameters("gender.memberOf('http://nowhere')"), "not known here"),
    ("Patient/{id}/$fhirpath", parameters("conformsTo('http://nowhere')"), "not known here"),
    ("Patient/{id}/$fhirpath", parameters("name", resource=PATIENT), "send none"),
    ("Patient/{id}/$fhirpath", {"resourceType": "Parameters"}, "needs the parameter expression"),
    ("Patient/$fhirpath", parameters("name"), "no resource to evaluate on"),
    ("Observation/$fhirpath", parameters("name", resource=PATIENT), "not a Observation"),
    ("$fhirpath", parameters("name"), "no resource to evaluate on"),
    ("$fhirpath", parameters("as(HumanName)", "name.as(HumanName)", resource=PATIENT, strict=True), "'as' needs one item"),
    ("$fhirpath", parameters("name.select(%resource.descendants().select(%resource.descendants().select(%resource.descendants().select(%resource.descendants().select(%resource.descendants())))))", resource=PATIENT), "takes too much work"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "text"), REFUSED)
def test_mistakes_are_told(client: Client, patient: str, path: str, body: dict[str, Any], text: str) -> None:
    answer = client.post(path.replace("{id}", patient), body)
    assert answer.status == 400, answer.text
    assert text in answer.issues[0]["details"]["text"]


def test_too_much_for_one_answer_is_refused(client: Client) -> None:
    grown = "(" + "|".join(str(i) for i in range(100)) + ").select(%resource.descendants()).select(%resource.descendants())"
    answer = client.post("$fhirpath", parameters(grown, resource=PATIENT))
    assert (answer.status, answer.issues[0]["code"]) == (422, "too-costly")
    assert client.post("$fhirpath", parameters(*["1"] * 21, resource=PATIENT)).status == 422


def test_the_answer_is_valid(client: Client, patient: str) -> None:
    body = parameters(*[expression for expression, _ in ITEMS], "%resource", "name.trace('x')")
    answer = client.post(f"Patient/{patient}/$fhirpath", body)
    assert [issue for issue in check(base_registry(), answer.json) if issue.severity == "error"] == []
