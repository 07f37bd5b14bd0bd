"""Every input of R4's terminology operations is acted on: an answer with it is another than without it, or says why not.

The rows are compared with the OperationDefinitions, so that none can be forgotten.
"""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.conformance.definitions import read_definitions
from fhir_server.conformance.registry import base_registry
from tests.client import Client
from tests.operations.terminology_resources import FISH, all_of, by, fish, value_set

Json = dict[str, Any]
VS, MAP, OTHER = "urn:test:vs", "urn:test:map", "urn:test:other"
PROFILE = "urn:test:profile"
FRESH = value_set("urn:test:given", by("water", "=", "fresh"))
OWN = {"resourceType": "CodeSystem", "url": "urn:test:own", "status": "active", "content": "complete",
       "concept": [{"code": "a"}]}  # fmt: skip
MISSING = object()

# operation -> parameter -> (value, what is asked besides, what is asked instead of it); a parameter whose value is given
# with its type is `name__valueX`.
EXPAND: dict[str, tuple[Any, Json]] = {
    "url__valueUri": (VS, {}),
    "valueSet__resource": (FRESH, {}),
    "valueSetVersion__valueString": ("9", {"url__valueUri": VS}),
    "context__valueUri": (f"{PROFILE}#Patient.maritalStatus", {}),
    "contextDirection__valueCode": ("sideways", {"context__valueUri": f"{PROFILE}#Patient.maritalStatus"}),
    "filter__valueString": ("brown", {"url__valueUri": VS}),
    "date__valueDateTime": ("2020-06-01", {"url__valueUri": VS}),
    "offset__valueInteger": (1, {"url__valueUri": VS}),
    "count__valueInteger": (1, {"url__valueUri": VS}),
    "includeDesignations__valueBoolean": (True, {"url__valueUri": VS}),
    "designation__valueString": ("urn:ietf:bcp:47|fr", {"url__valueUri": VS}),
    "includeDefinition__valueBoolean": (True, {"url__valueUri": VS}),
    "activeOnly__valueBoolean": (True, {"url__valueUri": VS}),
    "excludeNested__valueBoolean": (False, {"url__valueUri": VS}),
    "excludeNotForUI__valueBoolean": (True, {"url__valueUri": VS}),
    "displayLanguage__valueCode": ("fr", {"url__valueUri": VS}),
    "exclude-system__valueCanonical": (f"{FISH}|2", {"url__valueUri": VS}),
    "system-version__valueCanonical": (f"{FISH}|1", {"url__valueUri": VS}),
    "check-system-version__valueCanonical": (f"{FISH}|7", {"url__valueUri": VS}),
    "force-system-version__valueCanonical": (f"{FISH}|1", {"url__valueUri": VS}),
    "property__valueString": ("water", {"url__valueUri": VS}),
    "limitedExpansion__valueBoolean": (True, {"url__valueUri": VS, "count__valueInteger": 6}),
}
CODE = {"system__valueUri": FISH, "code__valueCode": "salmon"}
CODING = {"system": FISH, "code": "trout"}
LOOKUP: dict[str, tuple[Any, Json]] = {
    "code__valueCode": ("trout", {"system__valueUri": FISH}),
    "system__valueUri": (FISH, {"code__valueCode": "trout"}),
    "version__valueString": ("1", CODE),
    "coding__valueCoding": (CODING, {}),
    "date__valueDateTime": ("2020-06-01", CODE),
    "displayLanguage__valueCode": ("fr", CODE),
    "property__valueCode": ("lang.fr", CODE),
}
MEMBER = {"url__valueUri": VS, "system__valueUri": FISH, "code__valueCode": "trout"}
IN_VALUE_SET: dict[str, tuple[Any, Json]] = {
    "url__valueUri": (VS, CODE),
    "context__valueUri": (f"{PROFILE}#Patient.maritalStatus", CODE),
    "valueSet__resource": (FRESH, CODE),
    "valueSetVersion__valueString": ("9", MEMBER),
    "code__valueCode": ("trout", {"url__valueUri": VS}),
    "system__valueUri": (OTHER, {"url__valueUri": VS, "code__valueCode": "trout"}),
    "systemVersion__valueString": ("1", MEMBER),
    "display__valueString": ("Pike", MEMBER),
    "coding__valueCoding": (CODING, {"url__valueUri": VS}),
    "codeableConcept__valueCodeableConcept": ({"coding": [CODING]}, {"url__valueUri": VS}),
    "date__valueDateTime": ("2020-06-01", MEMBER),
    "abstract__valueBoolean": (False, {"url__valueUri": VS, "system__valueUri": FISH, "code__valueCode": "any"}),
    "displayLanguage__valueCode": ("fr", MEMBER),
    "inferSystem__valueBoolean": (False, {"url__valueUri": VS, "code__valueCode": "trout"}),
}
OF_SYSTEM = {"url__valueUri": FISH, "code__valueCode": "trout"}
IN_CODE_SYSTEM: dict[str, tuple[Any, Json]] = {
    "url__valueUri": (FISH, {"code__valueCode": "trout"}),
    "codeSystem__resource": (OWN, {"code__valueCode": "a"}),
    "code__valueCode": ("trout", {"url__valueUri": FISH}),
    "version__valueString": ("1", OF_SYSTEM),
    "display__valueString": ("Pike", OF_SYSTEM),
    "coding__valueCoding": (CODING, {"url__valueUri": FISH}),
    "codeableConcept__valueCodeableConcept": ({"coding": [CODING]}, {"url__valueUri": FISH}),
    "date__valueDateTime": ("2020-06-01", OF_SYSTEM),
    "abstract__valueBoolean": (False, {"url__valueUri": FISH, "code__valueCode": "any"}),
    "displayLanguage__valueCode": ("fr", OF_SYSTEM),
}
MAPPED = {"url__valueUri": MAP, "system__valueUri": FISH, "code__valueCode": "trout"}
TRANSLATE: dict[str, tuple[Any, Json]] = {
    "url__valueUri": (MAP, CODE),
    "conceptMap__resource": ({"resourceType": "ConceptMap", "status": "active"}, CODE),
    "conceptMapVersion__valueString": ("9", MAPPED),
    "code__valueCode": ("trout", {"url__valueUri": MAP, "system__valueUri": FISH}),
    "system__valueUri": (FISH, {"url__valueUri": MAP, "code__valueCode": "trout"}),
    "version__valueString": ("7", MAPPED),
    "source__valueUri": ("urn:test:no-source", MAPPED),
    "coding__valueCoding": (CODING, {"url__valueUri": MAP}),
    "codeableConcept__valueCodeableConcept": ({"coding": [CODING]}, {"url__valueUri": MAP}),
    "target__valueUri": ("urn:test:no-target", MAPPED),
    "targetsystem__valueUri": ("urn:test:no-system", MAPPED),
    "dependency__part": (
        [{"name": "element", "valueUri": "urn:test:side"},
         {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "left"}]}}],
        {**MAPPED, "code__valueCode": "salmon"},
    ),
    "reverse__valueBoolean": (True, MAPPED),
}  # fmt: skip
PAIR = {"system__valueUri": FISH, "codeA__valueCode": "any", "codeB__valueCode": "sturgeon"}
SUBSUMES: dict[str, tuple[Any, Json]] = {
    "codeA__valueCode": ("any", {"system__valueUri": FISH, "codeB__valueCode": "trout"}),
    "codeB__valueCode": ("any", {"system__valueUri": FISH, "codeA__valueCode": "trout"}),
    "system__valueUri": (FISH, {"codeA__valueCode": "any", "codeB__valueCode": "trout"}),
    "version__valueString": ("1", PAIR),
    "codingA__valueCoding": (CODING, {"codeB__valueCode": "any"}),
    "codingB__valueCoding": (CODING, {"codeA__valueCode": "any"}),
}
NAMED = {"name__valueString": "parameters"}
CLOSURE: dict[str, tuple[Any, Json]] = {
    "name__valueString": ("parameters", {}),
    "concept__valueCoding": (CODING, NAMED),
    "version__valueString": ("99", NAMED),
}
TABLES: dict[tuple[str | None, str], dict[str, tuple[Any, Json]]] = {
    ("ValueSet", "expand"): EXPAND,
    ("CodeSystem", "lookup"): LOOKUP,
    ("ValueSet", "validate-code"): IN_VALUE_SET,
    ("CodeSystem", "validate-code"): IN_CODE_SYSTEM,
    ("ConceptMap", "translate"): TRANSLATE,
    ("CodeSystem", "subsumes"): SUBSUMES,
    (None, "closure"): CLOSURE,
}
# There are no post-coordinated codes here, so leaving them out changes nothing.
WITHOUT_EFFECT: dict[tuple[str | None, str], set[str]] = {("ValueSet", "expand"): {"excludePostCoordinated"}}
ROWS = [(on, code, name) for (on, code), rows in TABLES.items() for name in rows]


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    """Fish in two versions, of 2020 and of 2022: in the second, sturgeons stand apart and eels are new."""
    first = fish("1", date="2020-01-01")
    second = deepcopy(fish("2", date="2022-01-01"))
    within = second["concept"][0]["concept"]
    second["concept"] += [within.pop(), {"code": "eel", "display": "Eel"}]
    del second["concept"][1]["property"][0]
    profile = {
        "resourceType": "StructureDefinition", "url": PROFILE, "name": "P", "status": "active", "kind": "resource",
        "abstract": False, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, {
            "id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
            "binding": {"strength": "extensible", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}}]},
    }  # fmt: skip
    depends = [{"property": "urn:test:side", "value": "left"}]
    elements = [{"code": "trout", "target": [{"code": "t", "equivalence": "equal"}]},
                {"code": "salmon", "target": [{"code": "s", "equivalence": "equal", "dependsOn": depends}]}]  # fmt: skip
    group = {"source": FISH, "sourceVersion": "1", "target": OTHER, "element": elements}
    concept_map = {"resourceType": "ConceptMap", "url": MAP, "status": "active", "sourceUri": VS, "targetUri": OTHER, "group": [group]}
    for resource in (first, second, value_set(VS, all_of(), version="1", date="2019"), profile, concept_map):
        client.create(resource)


def asked(client: Client, on: str | None, code: str, values: Json) -> tuple[int, Any]:
    rows = [{"name": name.split("__")[0], name.split("__")[1]: value} for name, value in values.items()]
    answer = client.post(f"{on}/${code}" if on else f"${code}", {"resourceType": "Parameters", "parameter": rows})
    assert answer.status < 500, answer.text
    found = answer.json
    for noise in ("timestamp", "identifier", "parameter", "date"):
        found.get("expansion", {}).pop(noise, None)
        if noise != "parameter":
            found.pop(noise, None)
    return answer.status, found


@pytest.mark.parametrize(("on", "code", "name"), ROWS)
def test_it_is_acted_on(client: Client, on: str | None, code: str, name: str) -> None:
    value, besides = TABLES[on, code][name]
    if code == "closure":
        asked(client, on, code, NAMED)
    with_it = asked(client, on, code, {**besides, name: value})
    without = asked(client, on, code, {key: each for key, each in besides.items() if key != name})
    if name == "limitedExpansion__valueBoolean":
        # Of what fits, nothing is cut off; see test_expand.py.
        assert with_it[1] == without[1]
        return
    assert with_it != without, with_it


def test_every_input_of_r4_is_in_a_table() -> None:
    registry = base_registry()
    for (on, code), rows in TABLES.items():
        named = {name.split("__")[0] for name in rows} | WITHOUT_EFFECT.get((on, code), set())
        published = next(
            row for row in read_definitions("operations") if row["code"] == code and on in (None, *row.get("resource", ()))
        )
        inputs = {each["name"] for each in published["parameter"] if each["use"] == "in"}
        assert inputs <= named, f"${code} of R4 takes {inputs - named}"
        assert set(registry.operations[on, code].inputs()) == named


def test_the_tables_would_notice_what_is_ignored(client: Client) -> None:
    """Known bad: a parameter without effect."""
    with_it = asked(client, "ValueSet", "expand", {"url__valueUri": VS, "excludePostCoordinated__valueBoolean": True})
    assert with_it == asked(client, "ValueSet", "expand", {"url__valueUri": VS})


def _codes(client: Client, path: str) -> list[str]:
    answer = client.get(path)
    assert answer.status == 200, answer.text
    return [item["code"] for item in answer.json["expansion"].get("contains", ())]


def test_dates_choose_versions(client: Client) -> None:
    path = f"ValueSet/$expand?url={VS}"
    old = ["any", "salmon", "trout", "sea-trout", "migrant", "sturgeon"]
    for date, eel in (("2020", False), ("2021-12-31T23:59:59Z", False), ("2022", True), ("2024-05", True)):
        found = _codes(client, f"{path}&date={quote(date)}")
        assert ("eel" in found) is eel
        assert eel or found == old
    assert _codes(client, path) == _codes(client, f"{path}&date=2026")
    for date, status, word in (("2019-06", 422, FISH), ("2018", 422, VS), ("2999", 400, "future"), ("x", 400, "dateTime")):
        answer = client.get(f"{path}&date={date}")
        assert answer.status == status, answer.text
        assert word in answer.issues[0]["details"]["text"]
        assert answer.issues[0]["expression"] == ["http.date"]


def test_the_date_is_repeated_and_tells_expansions_apart(client: Client) -> None:
    old, new = (client.get(f"ValueSet/$expand?url={VS}&date={date}").json["expansion"] for date in ("2020", "2022"))
    assert {"name": "date", "valueDateTime": "2020"} in old["parameter"]
    assert {"name": "version", "valueUri": f"{FISH}|1"} in old["parameter"]
    assert old["identifier"] != new["identifier"]


def test_what_says_no_date_counts_from_when_it_was_stored(client: Client) -> None:
    client.create({**OWN, "url": "urn:test:undated"})
    path = "CodeSystem/$validate-code?url=urn:test:undated&code=a"
    assert client.get(f"{path}&date={datetime.now(UTC):%Y-%m-%d}").status == 200
    answer = client.get(f"{path}&date=2020")
    assert (answer.status, "is known since" in answer.issues[0]["details"]["text"]) == (422, True)


def test_a_named_version_needs_no_date(client: Client) -> None:
    given = value_set("urn:test:pinned", all_of(version="1"))
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "valueSet", "resource": given}, {"name": "date", "valueDateTime": "2010"}]}  # fmt: skip
    assert client.post("ValueSet/$expand", body).json["expansion"]["total"] == 6


GENDERS = ["male", "female", "other", "unknown"]
CONTEXTS: list[tuple[str, list[str] | int]] = [
    (f"{PROFILE}#Patient.maritalStatus", GENDERS),
    (f"{PROFILE}#maritalStatus", GENDERS),
    ("Patient.gender", GENDERS),
    ("http://hl7.org/fhir/StructureDefinition/Patient#gender", GENDERS),
    ("http://hl7.org/fhir/StructureDefinition/Patient#Patient.no", 422),
    ("http://hl7.org/fhir/StructureDefinition/Patient#Patient.birthDate", 422),
    ("http://hl7.org/fhir/StructureDefinition/Nowhere#Patient.gender", 404),
    ("urn:test:profile", 400),
    ("#", 400),
    ("Patient", 400),
]


@pytest.mark.parametrize(("context", "expected"), CONTEXTS)
def test_contexts(client: Client, context: str, expected: list[str] | int) -> None:
    path = f"ValueSet/$expand?context={quote(context)}"
    if isinstance(expected, list):
        assert _codes(client, f"{path}&contextDirection=outgoing") == expected
    else:
        answer = client.get(path)
        assert (answer.status, answer.issues[0]["expression"]) == (expected, ["http.context"])
