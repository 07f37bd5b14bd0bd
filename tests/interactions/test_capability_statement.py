"""What /metadata says is what the registry holds and the wiring has."""

from collections import Counter
from typing import Any

import pytest

from fhir_server.conformance.registry import Registry, base_registry, tenant_registry
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions.metadata import capability_statement, operation_definitions, terminology_capabilities
from fhir_server.rest.routes import ROUTES
from fhir_server.rest.xml_format import from_xml, to_xml

BASE = base_registry()
OPERATIONS = {("Patient", "everything"), ("Resource", "validate"), (None, "export"), (None, "not-defined-anywhere")}
URL = "http://localhost/t/clinic/fhir"


def statement(registry: Registry = BASE, **change: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"base": URL, "software_version": "1.2.3", "operations": OPERATIONS, **change}
    return capability_statement(registry, **facts)


def of_type(statement: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in statement["rest"][0]["resource"] if entry["type"] == name)
    return found


STATEMENT = statement()


def test_every_type_once() -> None:
    types = [entry["type"] for entry in STATEMENT["rest"][0]["resource"]]
    assert types == list(BASE.resource_types)
    assert max(Counter(types).values()) == 1


def test_the_audit_log_is_read_only() -> None:
    entry = of_type(STATEMENT, "AuditEvent")
    assert [each["code"] for each in entry["interaction"]] == ["read", "vread", "search-type"]
    assert {param["name"] for param in entry["searchParam"]} < set(BASE.search_params("AuditEvent"))
    assert not [each for each in STATEMENT["rest"][0]["resource"] if "AuditEvent:" in str(each.get("searchRevInclude"))]


@pytest.mark.parametrize("name", [name for name in BASE.resource_types if name != "AuditEvent"])
def test_search_parameters_are_the_registry_s(name: str) -> None:
    entry = of_type(STATEMENT, name)
    said = {param["name"]: (param["type"], param["definition"]) for param in entry["searchParam"]}
    assert said == {code: (param.type, param.url) for code, param in BASE.search_params(name).items()}
    for include in entry.get("searchInclude", ()):
        owner, code = include.split(":")
        assert owner == name
        assert BASE.search_params(name)[code].type == "reference"
    for include in entry.get("searchRevInclude", ()):
        owner, code = include.split(":")
        targets = BASE.search_params(owner)[code].targets
        assert name in targets or not targets


def test_provenance_can_be_followed_back_from_every_type() -> None:
    assert all("Provenance:target" in of_type(STATEMENT, name)["searchRevInclude"] for name in ("Patient", "Slot"))


def test_interactions_and_formats_are_those_given() -> None:
    said = statement(interactions=("read",), system_interactions=("batch",), formats=("json",), patch_formats=())
    assert of_type(said, "Patient")["interaction"] == [{"code": "read"}]
    assert said["rest"][0]["interaction"] == [{"code": "batch"}]
    assert (said["format"], said["patchFormat"]) == (["json"], [])


def test_operations_are_those_wired_and_defined() -> None:
    rest = STATEMENT["rest"][0]
    assert rest["operation"] == [
        {"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}
    ]
    assert [row["name"] for row in of_type(STATEMENT, "Patient")["operation"]] == ["everything", "validate"]
    assert [row["name"] for row in of_type(STATEMENT, "Slot")["operation"]] == ["validate"]
    assert "operation" not in of_type(statement(operations=()), "Patient")
    assert operation_definitions(BASE, {(None, "not-defined-anywhere")}) == {}


def test_a_tenant_s_own_parameter_is_said_only_there() -> None:
    own = {
        "resourceType": "SearchParameter", "url": "http://clinic.example/sp", "code": "insurer", "type": "reference",
        "base": ["Patient"], "expression": "Patient.generalPractitioner", "target": ["Organization"],
    }
    said = statement(tenant_registry(1, [own]))
    assert {"name": "insurer", "definition": "http://clinic.example/sp", "type": "reference"} in of_type(
        said, "Patient"
    )["searchParam"]
    assert "Patient:insurer" in of_type(said, "Organization")["searchRevInclude"]
    assert "insurer" not in {param["name"] for param in of_type(STATEMENT, "Patient")["searchParam"]}


def test_security_names_smart_only_with_endpoints() -> None:
    assert "service" not in STATEMENT["rest"][0]["security"]
    security = statement(oauth={"token": "http://x/token"})["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert security["extension"][0]["extension"] == [{"url": "token", "valueUri": "http://x/token"}]


def elements_left_out(value: Any, structure_name: str, registry: Registry = BASE) -> list[str]:
    """Elements of an object that its structure lacks, mandatory ones that it lacks, and unknown required codes."""
    structure = registry.structures[structure_name]
    wrong = [f"{structure_name}.{e.name} missing" for e in structure.elements.values() if e.min and e.name not in value]
    for name, held in value.items():
        element = structure.elements.get(name)
        if name == "resourceType":
            continue
        if element is None:
            wrong.append(f"{structure_name}.{name} unknown")
            continue
        items = held if element.max is None else [held]
        assert isinstance(items, list)
        codes = registry.codes(element.binding[1]) if element.binding and element.binding[0] == "required" else None
        for item in items:
            if isinstance(item, dict):
                wrong += elements_left_out(item, element.type)
            elif codes is not None and item not in {code for _, code in codes}:
                wrong.append(f"{structure_name}.{name} = {item}")
    return wrong


def test_the_statements_fit_their_structures() -> None:
    oauth = statement(oauth={"token": "http://x/token"})
    assert elements_left_out(oauth, "CapabilityStatement") == []
    terminology = terminology_capabilities(BASE, base=URL, software_version="1", operations=[("ValueSet", "expand")])
    assert elements_left_out(terminology, "TerminologyCapabilities") == []
    assert elements_left_out({**STATEMENT, "kind": "nonsense"}, "CapabilityStatement") == [
        "CapabilityStatement.kind = nonsense"
    ]


def test_the_statement_survives_json_and_xml() -> None:
    assert decode(encode(STATEMENT)) == STATEMENT
    assert from_xml(to_xml(STATEMENT, BASE), BASE) == STATEMENT


def test_terminology_says_only_the_operations_given() -> None:
    bare = terminology_capabilities(BASE, base=URL, software_version="1")
    assert {"expansion", "validateCode", "translation", "closure"}.isdisjoint(bare)
    uris = [system["uri"] for system in bare["codeSystem"]]
    assert "http://hl7.org/fhir/administrative-gender" in uris
    assert "http://snomed.info/sct" not in uris
    assert len(uris) == len(set(uris))
    full = terminology_capabilities(
        BASE, base=URL, software_version="1",
        operations=[
            ("ValueSet", "expand"), ("ValueSet", "validate-code"), ("ConceptMap", "translate"), (None, "closure"),
        ],
    )
    assert {"expansion", "validateCode", "translation", "closure"} <= set(full)


def test_what_is_said_without_being_asked_is_routed() -> None:
    routed = set(ROUTES.values())
    for entry in STATEMENT["rest"][0]["resource"]:
        assert {row["code"] for row in entry["interaction"]} <= routed
    assert {"conditional-update", "conditional-delete"} <= routed
    system = {row["code"] for row in STATEMENT["rest"][0]["interaction"]}
    assert system - {"transaction", "batch"} <= routed
    assert "bundle" in routed
