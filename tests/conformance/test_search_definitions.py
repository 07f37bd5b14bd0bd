"""Search parameters per type, and a tenant's own. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry, tenant_registry
from fhir_server.conformance.search_parameters import split_union
from fhir_server.core.errors import Unprocessable

BASE = base_registry()
COMMON = {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"}

# (type, code, kind, expression, targets)
PARAMETERS = [
    ("Observation", "code", "token", "Observation.code", ()),
    ("Condition", "code", "token", "Condition.code", ()),
    ("Observation", "patient", "reference", "Observation.subject.where(resolve() is Patient)", ("Patient",)),
    ("Observation", "subject", "reference", "Observation.subject", ("Device", "Group", "Location", "Patient")),
    ("AllergyIntolerance", "patient", "reference", "AllergyIntolerance.patient", ("Patient",)),
    ("Observation", "value-quantity", "quantity",
     "(Observation.value as Quantity) | (Observation.value as SampledData)", ()),
    ("Observation", "date", "date", "Observation.effective", ()),
    ("Patient", "_id", "token", "Patient.id", ()),
    ("Patient", "_lastUpdated", "date", "Patient.meta.lastUpdated", ()),
    ("Patient", "email", "token", "Patient.telecom.where(system='email')", ()),
    ("InsurancePlan", "name", "string", "InsurancePlan.name | InsurancePlan.alias", ()),
    ("Location", "near", "special", "Location.position", ()),
    ("Provenance", "target", "reference", "Provenance.target", ()),
]


def found(resource_type: str, code: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    """A table row as the registry says it."""
    param = BASE.search_params(resource_type)[code]
    return param.resource_type, param.code, param.type, param.expression, param.targets


@pytest.mark.parametrize("row", PARAMETERS, ids=lambda row: f"{row[0]}.{row[1]}")
def test_parameter(row: tuple[str, str, str, str, tuple[str, ...]]) -> None:
    assert found(row[0], row[1]) == row


def test_the_table_runner_sees_a_wrong_row() -> None:
    assert found("Observation", "code") != ("Observation", "code", "string", "Observation.code", ())


@pytest.mark.parametrize("resource_type", BASE.resource_types)
def test_every_type_has_the_common_parameters_and_only_its_own_expressions(resource_type: str) -> None:
    params = BASE.search_params(resource_type)
    assert set(params) >= COMMON
    for code, param in params.items():
        assert param.code == code
        for part in split_union(param.expression):
            assert part.lstrip("(").split(".")[0] == resource_type
        for target in param.targets:
            assert target in BASE.type_ids
        if param.type == "composite":
            assert len(param.components) >= 2


def test_unknown_type_has_no_parameters() -> None:
    assert BASE.search_params("Nonsense") == {}


def test_components_of_a_composite() -> None:
    (code, code_path), (value, value_path) = BASE.search_params("Observation")["code-value-quantity"].components
    assert (code.code, code.type, code_path) == ("code", "token", "code")
    assert (value.code, value.type, value_path) == ("value-quantity", "quantity", "value.as(Quantity)")


def test_split_union_leaves_inner_bars_alone() -> None:
    assert split_union("a.where(x = 'p|q') | (b | c)|d") == ["a.where(x = 'p|q')", "(b | c)", "d"]


def own(**change: Any) -> dict[str, Any]:
    """A tenant's search parameter."""
    return {
        "resourceType": "SearchParameter", "url": "http://clinic.example/sp/insurer", "code": "insurer",
        "type": "reference", "base": ["Patient", "Coverage"],
        "expression": "Patient.generalPractitioner | Coverage.payor", **change,
    }


def test_own_parameter_appears_on_its_types_only() -> None:
    registry = tenant_registry(7, [own()])
    assert registry.version == 7
    insurer = registry.search_params("Coverage")["insurer"]
    assert insurer.expression == "Coverage.payor"
    assert insurer.targets == ("Organization", "Patient", "RelatedPerson")
    assert registry.search_params("Patient")["insurer"].expression == "Patient.generalPractitioner"
    assert "insurer" not in registry.search_params("Observation")
    assert "insurer" not in BASE.search_params("Coverage"), "the base is not changed"


def test_own_parameter_shares_the_rest() -> None:
    registry = tenant_registry(7, [own()])
    assert registry.structures is BASE.structures
    assert registry.terminology is BASE.terminology
    assert registry.operations is BASE.operations
    assert registry.search_params("Observation") == BASE.search_params("Observation")


def test_same_url_replaces_the_base_parameter() -> None:
    url = BASE.search_params("Patient")["birthdate"].url
    born = own(url=url, code="born", type="date", base=["Patient"], expression="Patient.birthDate")
    registry = tenant_registry(1, [born])
    assert "birthdate" not in registry.search_params("Patient")
    assert registry.search_params("Patient")["born"].type == "date"


def test_same_code_with_another_url_wins_on_its_type() -> None:
    changed = own(code="gender", type="token", base=["Patient"], expression="Patient.maritalStatus")
    registry = tenant_registry(1, [changed])
    assert registry.search_params("Patient")["gender"].expression == "Patient.maritalStatus"
    assert registry.search_params("Person")["gender"].expression == "Person.gender"


def test_base_resource_is_every_type() -> None:
    changed = own(code="lang", type="token", base=["Resource"], expression="Resource.language")
    registry = tenant_registry(1, [changed])
    assert registry.search_params("Slot")["lang"].expression == "Slot.language"


def test_own_composite_finds_its_components() -> None:
    composite = own(
        code="who-when", type="composite", base=["Observation"], expression="Observation",
        component=[
            {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"},
            {"definition": "http://hl7.org/fhir/SearchParameter/clinical-date|4.0.1", "expression": "effective"},
        ],
    )
    parts = tenant_registry(1, [composite]).search_params("Observation")["who-when"].components
    assert [(param.code, path) for param, path in parts] == [("code", "code"), ("date", "effective")]


def test_declared_targets_and_multiple_flags_are_followed() -> None:
    registry = tenant_registry(1, [own(target=["Organization"], multipleOr=False, modifier=["missing"])])
    param = registry.search_params("Coverage")["insurer"]
    assert (param.targets, param.multiple_or, param.multiple_and, param.modifiers) == (
        ("Organization",), False, True, ("missing",),
    )


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"expression": ""}, "SearchParameter.expression"),
        ({"code": ""}, "SearchParameter.code"),
        ({"type": "telepathy"}, "SearchParameter.type"),
        ({"base": ["Nonsense"]}, "SearchParameter.base"),
        ({"base": ["Slot"]}, "SearchParameter.expression"),
        ({"component": [{"definition": "http://x.example"}]}, "SearchParameter.component"),
    ],
)
def test_an_unusable_parameter_names_its_element(change: dict[str, Any], element: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        tenant_registry(1, [own(**change)])
    assert caught.value.issues[0].expression == element
