"""What becomes of data that breaks rules, by the tenant's policy: refused, kept and tagged, or only told."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant

Json = dict[str, Any]
TAG = {"system": "urn:salam:CodeSystem:validation", "code": "invalid"}
ISSUE = "urn:salam:StructureDefinition:validation-issue"
PROFILE = "http://example.org/StructureDefinition/named-patient"
VITALS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
DEFINITION: Json = {
    "resourceType": "StructureDefinition",
    "url": PROFILE,
    "version": "1.0.0",
    "name": "NamedPatient",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "Patient", "path": "Patient"},
            {"id": "Patient.name", "path": "Patient.name", "min": 1},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 1},
        ]
    },
}
PATIENT: Json = {"resourceType": "Patient", "name": [{"family": "Diop"}], "gender": "female"}
PULSE: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "subject": {"reference": "Patient/p"},
}


@pytest.fixture
def home(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    return new_tenant()


@pytest.fixture
def clinic(home: TestTenant) -> Client:
    made = home.client()
    made.create(DEFINITION)
    return made


def policy(client: Client, **values: Any) -> Answer:
    entries: list[Json] = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            entries.append({"name": name, "valueCanonical" if name == "profile" else "valueCode": each})
    body = {"resourceType": "Parameters", "parameter": entries} if entries else {"resourceType": "Parameters"}
    return client.post("$change-validation-policy", body)


def claiming(resource: Json, *profiles: str) -> Json:
    return {**resource, "meta": {**resource.get("meta", {}), "profile": list(profiles)}}


def without(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


def rules(resource: Json) -> list[str]:
    """The rules of the issues that stand on a resource."""
    found = []
    for extension in resource["meta"].get("extension", ()):
        if extension["url"] == ISSUE:
            parts = {part["url"]: next(v for k, v in part.items() if k != "url") for part in extension["extension"]}
            found.append(str(parts.get("rule")))
    return found


def is_tagged(resource: Json) -> bool:
    return TAG in resource["meta"].get("tag", [])


# -- where nobody chose anything ---------------------------------------------------------------------------------------


def test_a_claimed_profile_of_the_tenants_own_is_demanded(clinic: Client) -> None:
    assert clinic.post("Patient", claiming(PATIENT, PROFILE)).status == 201
    refused = clinic.post("Patient", claiming(without(PATIENT, "name", "gender"), PROFILE))
    assert refused.status == 422
    assert {tuple(issue["expression"]) for issue in refused.issues} == {("Patient.name",), ("Patient.gender",)}
    keys = {issue["details"]["coding"][0]["code"] for issue in refused.issues}
    assert keys == {f"{PROFILE}#Patient.name", f"{PROFILE}#Patient.gender"}


def test_what_claims_nothing_is_checked_against_nothing(clinic: Client) -> None:
    assert clinic.post("Patient", {"resourceType": "Patient"}).status == 201


def test_profiles_of_r4_and_unknown_ones_are_told_to_who_asks(clinic: Client) -> None:
    for profile in (VITALS, "http://example.org/unknown"):
        assert clinic.post("Observation", claiming(PULSE, profile)).status == 201
        answer = clinic.post("Observation", claiming(PULSE, profile), prefer="return=OperationOutcome")
        assert answer.status == 201
        assert {issue["severity"] for issue in answer.issues} == {"information", "warning"}
    assert len(clinic.post("Observation", PULSE, prefer="return=OperationOutcome").issues) == 1


def test_in_a_transaction_each_entry_is_told_its_own(clinic: Client) -> None:
    entries = [
        {"resource": resource, "request": {"method": "POST", "url": "Observation"}}
        for resource in (PULSE, claiming(PULSE, "http://example.org/unknown"), PULSE)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = clinic.post("", bundle, prefer="return=OperationOutcome")
    assert answer.status == 200, answer.text
    told = [len(entry["response"]["outcome"]["issue"]) for entry in answer.json["entry"]]
    assert told == [1, 2, 1]


@pytest.mark.parametrize("how", ["update", "patch", "conditional", "transaction", "batch"])
def test_every_way_to_write_is_checked(clinic: Client, how: str) -> None:
    stored = clinic.create(claiming(PATIENT, PROFILE))
    url = f"Patient/{stored['id']}"
    bad = without(stored, "gender")
    entry = {"resource": bad, "request": {"method": "PUT", "url": url}}
    if how == "update":
        status = clinic.request("PUT", url, bad).status
    elif how == "patch":
        steps = [{"op": "remove", "path": "/gender"}]
        status = clinic.request("PATCH", url, steps, content_type="application/json-patch+json").status
    elif how == "conditional":
        status = clinic.request("PUT", f"Patient?_id={stored['id']}", bad).status
    else:
        answer = clinic.post("", {"resourceType": "Bundle", "type": how, "entry": [entry]})
        status = answer.status if how == "transaction" else int(answer.json["entry"][0]["response"]["status"][:3])
    assert status == 422
    assert clinic.get(url).json["meta"]["versionId"] == "1"


# -- policy ------------------------------------------------------------------------------------------------------------


def test_demanded_profiles_hold_whether_claimed_or_not(clinic: Client) -> None:
    assert policy(clinic, type="Patient", profile=[PROFILE]).status == 200
    assert clinic.post("Patient", without(PATIENT, "name")).status == 422
    assert clinic.post("Patient", PATIENT).status == 201


def test_tagged_data_is_kept_found_and_mended(clinic: Client) -> None:
    policy(clinic, type="Patient", mode="tag", profile=[PROFILE])
    stored = clinic.create(without(PATIENT, "name"))
    assert is_tagged(stored)
    assert rules(stored) == [f"{PROFILE}#Patient.name"]
    url = f"Patient/{stored['id']}"
    assert [each["id"] for each in clinic.search(f"Patient?_tag={TAG['system']}|invalid")] == [stored["id"]]
    # Sent back as it is, nothing changes; the same mark is made again.
    assert clinic.request("PUT", url, stored).json["meta"]["versionId"] == "1"
    mended = clinic.request("PUT", url, {**stored, "name": [{"family": "Diop"}]})
    assert mended.status == 200
    assert not is_tagged(mended.json)
    assert rules(mended.json) == []
    assert clinic.search(f"Patient?_tag={TAG['system']}|invalid") == []


def test_what_a_client_says_of_validity_does_not_count(clinic: Client) -> None:
    other = {"system": "urn:tags", "code": "mine"}
    extension = {"url": ISSUE, "extension": [{"url": "text", "valueString": "x"}]}
    sent = {**PATIENT, "meta": {"tag": [TAG, other], "extension": [extension]}}
    stored = clinic.create(sent)
    assert stored["meta"]["tag"] == [other]
    assert "extension" not in stored["meta"]


KEPT: list[tuple[str, Json, str]] = [
    ("a broken invariant", {"contact": [{"gender": "female"}]}, "pat-1"),
    ("a wrong code", {"gender": "woman"}, "http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender"),
    ("a reference to the wrong type", {"generalPractitioner": [{"reference": "Claim/1"}]}, "reference-target"),
    ("a reference that is none", {"managingOrganization": {"reference": "x y"}}, "reference-form"),
    ("a contained resource that is missing", {"managingOrganization": {"reference": "#gone"}}, "ref-1"),
    ("an empty narrative", {"text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"> </div>'}},
     "txt-2"),
    ("a wrong size", {"photo": [{"contentType": "image/png", "data": "AAAA", "size": 9}]}, "attachment-size"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tagging(new_tenant: Callable[[], TestTenant]) -> Client:
    client = new_tenant().client()
    assert policy(client, mode="tag").status == 200
    return client


@pytest.mark.parametrize(("what", "added", "rule"), KEPT, ids=[row[0] for row in KEPT])
def test_what_breaks_rules_of_r4_is_kept(tagging: Client, client: Client, what: str, added: Json, rule: str) -> None:
    assert client.post("Patient", {**PATIENT, **added}).status == 422
    stored = tagging.create({**PATIENT, **added})
    assert is_tagged(stored)
    assert rules(stored) == [rule]
    found = tagging.get(f"Patient/{stored['id']}").json
    assert {name: found[name] for name in added} == added
    assert tagging.request("PUT", f"Patient/{stored['id']}", found).json["meta"]["versionId"] == "1"


NEVER: list[tuple[str, Json]] = [
    ("an unknown element", {"surname": "Diop"}),
    ("a wrong JSON type", {"gender": ["female"]}),
    ("a date that does not exist", {"birthDate": "2021-02-30"}),
    ("a code that is no code", {"gender": " female"}),
    ("what is missing", {"communication": [{"preferred": True}]}),
    ("two types of a choice", {"deceasedBoolean": True, "deceasedDateTime": "2020"}),
    ("active markup", {"text": {"status": "generated",
                                "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x()</script></div>'}}),
    ("many wrong codes before a wrong type", {"telecom": [{"use": "x", "value": "1"}] * 60, "active": "yes"}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "added"), NEVER, ids=[row[0] for row in NEVER])
def test_what_cannot_be_stored_is_refused_in_every_mode(tagging: Client, what: str, added: Json) -> None:
    assert tagging.post("Patient", {**PATIENT, **added}).status == 422


def test_what_decides_who_sees_what_is_kept_only_when_it_can_be_understood(tagging: Client) -> None:
    assert policy(tagging, type="Consent", mode="tag").status == 200
    consent = {
        "resourceType": "Consent", "status": "active", "scope": {"text": "x"}, "category": [{"text": "x"}],
        "patient": {"reference": "Patient/p"}, "policyRule": {"text": "x"}, "provision": {"type": "deny"},
    }  # fmt: skip
    assert tagging.post("Consent", {**consent, "status": "Active"}).status == 422
    assert tagging.post("Consent", {**consent, "provision": {"type": "Deny"}}).status == 422
    assert tagging.post("Consent", consent).status == 201


def test_many_issues_are_counted(tagging: Client) -> None:
    stored = tagging.create({**PATIENT, "telecom": [{"system": "phone", "use": "x", "value": "1"}] * 30})
    assert len(rules(stored)) == 21
    assert "10 more" in str(stored["meta"]["extension"][-1])


def test_off_checks_r4_alone_and_unknown_profiles_can_be_refused(clinic: Client) -> None:
    policy(clinic, type="Patient", mode="off", unknown="reject")
    assert clinic.post("Patient", claiming(without(PATIENT, "name"), PROFILE)).status == 201
    assert clinic.post("Patient", {**PATIENT, "gender": "x"}).status == 422
    refused = clinic.post("Patient", claiming(PATIENT, "http://example.org/unknown"))
    assert (refused.status, refused.issues[0]["code"]) == (422, "not-found")
    assert refused.issues[0]["expression"] == ["Patient.meta.profile[0]"]


def test_advise_lets_everything_in_that_is_r4(clinic: Client) -> None:
    policy(clinic, mode="advise")
    answer = clinic.post("Patient", claiming(without(PATIENT, "name"), PROFILE), prefer="return=OperationOutcome")
    assert answer.status == 201
    assert [issue["severity"] for issue in answer.issues] == ["information", "warning"]


def test_the_policy_is_shown_and_taken_back(clinic: Client, home: TestTenant) -> None:
    def shown() -> list[Json]:
        found = clinic.get("$validation-policy").json["parameter"]
        return [{part["name"]: next(v for k, v in part.items() if k != "name") for part in row["part"]} for row in found]

    assert shown() == [{"unknown": "advise"}]
    policy(clinic, mode="advise")
    policy(clinic, type="Patient", mode="tag", profile=[PROFILE])
    assert shown() == [
        {"type": "Patient", "mode": "tag", "unknown": "advise", "profile": PROFILE},
        {"mode": "advise", "unknown": "advise"},
    ]
    policy(clinic, type="Patient")
    policy(clinic)
    assert shown() == [{"unknown": "advise"}]
    assert home.client("system/*.cruds").get("$validation-policy").status == 200


REFUSED: list[tuple[Json, int]] = [
    ({"mode": "sometimes"}, 422),
    ({"unknown": "never"}, 422),
    ({"type": "Patience", "mode": "tag"}, 422),
    ({"type": "Patient", "profile": ["http://example.org/unknown"]}, 422),
    ({"type": "Observation", "profile": [PROFILE]}, 422),
    ({"profile": [PROFILE]}, 400),
]


@pytest.mark.parametrize(("values", "status"), REFUSED)
def test_policies_that_cannot_work_are_refused(clinic: Client, values: Json, status: int) -> None:
    assert policy(clinic, **values).status == status
    assert policy(clinic, type="Patient", mode="tag").status == 200


def test_only_who_may_changes_the_policy(home: TestTenant) -> None:
    assert policy(home.client("system/*.cruds"), mode="tag").status == 403
    assert home.client().get("$change-validation-policy").status == 405


def test_answers_are_checked_against_the_questionnaire_that_is_stored(clinic: Client) -> None:
    url = "http://example.org/Questionnaire/intake"
    items = [{"linkId": "1", "type": "boolean", "required": True}]
    form = clinic.create({"resourceType": "Questionnaire", "url": url, "version": "2", "status": "active", "item": items})
    response: Json = {"resourceType": "QuestionnaireResponse", "questionnaire": f"{url}|2", "status": "completed"}
    assert clinic.post("QuestionnaireResponse", response).status == 422
    assert clinic.post("QuestionnaireResponse", {**response, "questionnaire": f"Questionnaire/{form['id']}"}).status == 422
    assert clinic.post("QuestionnaireResponse", {**response, "questionnaire": f"{url}|3"}).status == 201
    assert clinic.post("QuestionnaireResponse", {**response, "status": "in-progress"}).status == 201
    policy(clinic, type="QuestionnaireResponse", mode="tag")
    kept = clinic.create(response)
    assert is_tagged(kept)
    assert rules(kept) == ["questionnaire"]


def test_own_extensions_of_a_tenant_hold_wherever_they_are_used(clinic: Client) -> None:
    url = "http://example.org/StructureDefinition/shoe-size"
    elements = [
        {"id": "Extension", "path": "Extension", "max": "1"},
        {"id": "Extension.url", "path": "Extension.url", "fixedUri": url},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "integer"}]},
    ]
    base = "http://hl7.org/fhir/StructureDefinition/Extension"
    clinic.create({**DEFINITION, "url": url, "name": "ShoeSize", "kind": "complex-type", "type": "Extension",
                   "baseDefinition": base, "context": [{"type": "element", "expression": "Patient"}],
                   "differential": {"element": elements}})  # fmt: skip
    assert clinic.post("Patient", {**PATIENT, "extension": [{"url": url, "valueInteger": 42}]}).status == 201
    refused = clinic.post("Patient", {**PATIENT, "extension": [{"url": url, "valueString": "42"}]})
    assert (refused.status, refused.issues[0]["expression"][0][:20]) == (422, "Patient.extension[0]")
    assert clinic.post("Observation", {**PULSE, "extension": [{"url": url, "valueInteger": 42}]}).status == 422
    policy(clinic, type="Observation", mode="off")
    assert clinic.post("Observation", {**PULSE, "extension": [{"url": url, "valueInteger": 42}]}).status == 201


def test_what_the_entries_of_a_stored_bundle_claim_counts(clinic: Client) -> None:
    entry = {"resource": claiming(without(PATIENT, "name"), PROFILE)}
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}, entry]}
    refused = clinic.post("Bundle", bundle)
    assert (refused.status, refused.issues[0]["expression"]) == (422, ["Bundle.entry[1].resource.name"])
    policy(clinic, type="Patient", mode="tag")
    assert rules(clinic.create(bundle)) == [f"{PROFILE}#Patient.name"]


def test_a_demanded_profile_that_is_gone_is_not_passed_over(clinic: Client) -> None:
    policy(clinic, type="Patient", profile=[PROFILE])
    (definition,) = clinic.search(f"StructureDefinition?url={PROFILE}")
    assert clinic.request("DELETE", f"StructureDefinition/{definition['id']}").status == 204
    refused = clinic.post("Patient", PATIENT)
    assert (refused.status, refused.issues[0]["code"]) == (422, "not-found")
    policy(clinic, type="Patient", mode="tag", profile=[])
    assert clinic.post("Patient", PATIENT).status == 201


def test_a_feed_loses_nothing(clinic: Client) -> None:
    """A transaction of good and bad observations is stored as a whole, each marked by itself."""
    policy(clinic, type="Observation", mode="tag", profile=[VITALS])
    good = {
        **PULSE,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                  "code": "vital-signs"}]}],
        "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": 70, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }  # fmt: skip
    sent = [good, PULSE, {**good, "status": "done"}, {**good, "subject": {"reference": "#nobody"}}]
    entries = [{"resource": each, "request": {"method": "POST", "url": "Observation"}} for each in sent]
    answer = clinic.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.text
    stored = [clinic.get(entry["response"]["location"].split("/_history")[0]).json for entry in answer.json["entry"]]
    assert [is_tagged(each) for each in stored] == [False, True, True, True]
    for before, after in zip(sent, stored, strict=True):
        assert {name: after[name] for name in before} == before


def test_a_claim_of_an_unknown_profile_can_be_tagged(clinic: Client) -> None:
    policy(clinic, unknown="tag")
    stored = clinic.create(claiming(PATIENT, "http://example.org/unknown|1.0"))
    assert rules(stored) == ["http://example.org/unknown|1.0"]
