"""R4's own profiles on published resources, and R4's own definitions as resources with extensions."""

import gzip
import tarfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from fhir_server.conformance import base_definitions
from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.validation.extensions import extension_issues
from fhir_server.validation.profile import known_profile, profile_issues
from fhir_server.validation.profiles.plans import plans_of
from tests.shared_data import SHARED, examples, needs_shared, shared_file
from tests.validation.profiles.kit import CORE, Json, el, profile, scope_of

# The profile of R4 for each vital sign, by LOINC code. https://hl7.org/fhir/R4/observation-vitalsigns.html
VITAL_SIGNS = {
    "85353-1": "vitalspanel", "9279-1": "resprate", "8867-4": "heartrate", "2708-6": "oxygensat", "8310-5": "bodytemp",
    "8302-2": "bodyheight", "9843-4": "headcircum", "29463-7": "bodyweight", "39156-5": "bmi", "85354-9": "bp",
    "55284-4": "bp",
}  # fmt: skip
LIPIDS = {"2093-3": "cholesterol", "2571-8": "triglyceride", "18262-6": "ldlcholesterol", "2085-9": "hdlcholesterol"}

# Why published resources do not conform to R4's own profiles: (profile, element id) -> reason.
REASONS = {
    ("cholesterol", "Observation.code"): "Synthea counts in mg/dL (2093-3), the profile fixes the code of mmol/L (35200-5).",
    ("cholesterol", "Observation.value[x]:valueQuantity.code"): "Synthea counts in mg/dL, the profile fixes mmol/L.",
    ("cholesterol", "Observation.value[x]:valueQuantity.unit"): "Synthea counts in mg/dL, the profile fixes mmol/L.",
    ("cholesterol", "Observation.referenceRange"): "Synthea gives no reference range, which the profile demands.",
    ("bp", "Observation.code.coding:BPCode"): "55284-4 was the panel's code before R4; the profile wants 85354-9.",
}
REASONS |= {
    (name, element): reason
    for (lipid, element), reason in list(REASONS.items())
    for name in LIPIDS.values()
    if lipid == "cholesterol"
}


@cache
def scope() -> Any:
    """R4 and nothing else."""
    return scope_of()


def observations() -> Iterator[tuple[str, Json]]:
    """(profile, resource) of every published vital sign and lipid."""
    for name, text in examples():
        if name.startswith("Observation"):
            yield from claimed(decode(text))
    if SHARED is not None:
        for path in sorted(shared_file("synthea").glob("*.json.gz")):
            for entry in decode(gzip.decompress(path.read_bytes()))["entry"]:
                yield from claimed(entry["resource"])
        yield from claimed(decode(shared_file("fhirpath/observation-example.json").read_text()))


def claimed(resource: Json) -> Iterator[tuple[str, Json]]:
    """The profiles of R4 that an Observation falls under."""
    if resource["resourceType"] == "Observation":
        codings = [coding for row in resource.get("category", ()) for coding in row.get("coding", ())]
        if any(coding.get("code") == "vital-signs" for coding in codings):
            yield "vitalsigns", resource
        for coding in resource["code"].get("coding", ()):
            for table in (VITAL_SIGNS, LIPIDS):
                if coding.get("code") in table:
                    yield table[coding["code"]], resource


@needs_shared
def test_published_vital_signs_and_lipids() -> None:
    """Each error is one of those that are explained, and each explanation is needed."""
    seen: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for name, resource in observations():
        seen[name] += 1
        for issue in profile_issues(scope(), resource, CORE + name):
            if issue.severity == "error":
                wrong[name, (issue.rule or "").rpartition("#")[2]] += 1
    assert sum(seen.values()) > 1500 and {"vitalsigns", "bp", "bmi", "bodyweight", "cholesterol"} <= seen.keys()
    assert {row: count for row, count in wrong.items() if row not in REASONS} == {}


@needs_shared
def test_a_spoiled_vital_sign_is_noticed() -> None:
    """Known bad."""
    found = next(found for name, found in observations() if name == "bmi")
    quantity = {name: value for name, value in found["valueQuantity"].items() if name != "unit"}
    issues = profile_issues(scope(), {**found, "valueQuantity": quantity}, f"{CORE}bmi")
    assert {"Observation.value.unit"} == {issue.expression for issue in issues if issue.severity == "error"}


# Official examples that claim a profile of R4 in meta.profile and break it: file -> element id and why.
CLAIMS: dict[str, tuple[str, str]] = {}


@needs_shared
def test_official_examples_conform_to_what_they_claim() -> None:
    tried = 0
    for name, text in examples():
        resource = decode(text)
        for canonical in resource.get("meta", {}).get("profile", ()):
            if known_profile(scope(), canonical):
                tried += 1
                issues = profile_issues(scope(), resource, canonical)
                wrong = [(i.rule or "").rpartition("#")[2] for i in issues if i.severity == "error"]
                assert wrong == ([CLAIMS[name][0]] if name in CLAIMS else []), name
    assert tried >= 4


SHAREABLE = {
    "CodeSystem": "shareablecodesystem", "ValueSet": "shareablevalueset", "Library": "shareablelibrary",
    "Measure": "shareablemeasure", "PlanDefinition": "shareableplandefinition", "ActivityDefinition": "shareableactivitydefinition",
}  # fmt: skip
# What R4's shareable profiles demand of a definition to be shared, and examples leave out.
LEFT_OUT = {"publisher", "version", "experimental", "description", "name", "url", "concept", "content", "title", "type"}


@needs_shared
def test_official_definitions_against_the_shareable_profiles() -> None:
    tried = 0
    for _, text in examples():
        resource = decode(text)
        name = SHAREABLE.get(resource["resourceType"])
        if name is not None:
            tried += 1
            for issue in profile_issues(scope(), resource, CORE + name):
                if issue.severity != "error":
                    continue
                missing = (issue.rule or "").rpartition(".")[2]
                assert issue.code == "required" and missing in LEFT_OUT and missing not in resource, issue
    assert tried >= 8


LIPID_CODES = {"Cholesterol": "35200-5", "Triglyceride": "35217-9", "HDLCholesterol": "2085-9"}
RANGES = {"35200-5": {"high": {"value": Decimal("4.5")}}, "2085-9": {"low": {"value": Decimal("1.5")}}}


def lipid_report(*codes: str) -> Json:
    """A DiagnosticReport with contained results."""
    results = [
        {
            "resourceType": "Observation", "id": f"r{i}", "status": "final", "referenceRange": [RANGES.get(code, {"high": {"value": 2}})],
            "code": code_of(code), "valueQuantity": {"value": 1, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        }
        for i, code in enumerate(codes)
    ]  # fmt: skip
    return {
        "resourceType": "DiagnosticReport", "status": "final", "contained": results, "code": code_of("57698-3"),
        "result": [{"reference": f"#r{i}"} for i in range(len(codes))],
    }  # fmt: skip


def code_of(code: str) -> Json:
    """The concept as R4's lipid profiles fix it."""
    for name in ("cholesterol", "triglyceride", "hdlcholesterol", "ldlcholesterol", "lipidprofile"):
        found = base_definitions.find("StructureDefinition", CORE + name)
        assert found is not None
        for element in found["snapshot"]["element"]:
            fixed = element.get("fixedCodeableConcept", element.get("patternCodeableConcept", {}))
            if element["id"].endswith(".code") and any(c.get("code") == code for c in fixed.get("coding", ())):
                return dict(fixed)
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def test_a_lipid_report_slices_its_results_by_what_they_are() -> None:
    """`result` is sliced by `resolve().code`, closed and ordered."""
    complete = lipid_report(*LIPID_CODES.values())
    assert [i for i in profile_issues(scope(), complete, f"{CORE}lipidprofile") if "result" in (i.expression or "")] == []
    two = profile_issues(scope(), lipid_report("35200-5", "2085-9"), f"{CORE}lipidprofile")
    assert "DiagnosticReport.result:Triglyceride" in {(i.rule or "").rpartition("#")[2] for i in two}
    other = profile_issues(scope(), lipid_report(*LIPID_CODES.values(), "1-8"), f"{CORE}lipidprofile")
    assert "DiagnosticReport.result[3]" in {i.expression for i in other}


# Profiles of R4 that cannot be used as they are published.
UNUSABLE = {
    # Its slices are those of `document-section-library`, which is in no package: nothing tells them apart.
    f"{CORE}example-composition": "says nothing at 'code'",
}


def test_every_profile_of_r4_compiles() -> None:
    count = 0
    for url in base_definitions.structure_names():
        definition = base_definitions.find("StructureDefinition", url)
        assert definition is not None
        if definition.get("derivation") != "constraint":
            continue
        count += 1
        if url in UNUSABLE:
            with pytest.raises(Unprocessable, match=UNUSABLE[url]):
                plans_of(scope().registry).plan(scope(), url)
        else:
            plans_of(scope().registry).plan(scope(), url)
    assert count > 400


@needs_shared
def test_the_definitions_of_r4_use_their_own_extensions_rightly() -> None:
    count = 0
    with tarfile.open(shared_file("fhir-r4/hl7.fhir.r4.core-4.0.1.tgz")) as package:
        for member in package:
            held = package.extractfile(member) if member.name.endswith(".json") else None
            resource = decode(held.read()) if held else {}
            if "resourceType" in resource:
                count += 1
                assert extension_issues(scope(), resource) == [], resource.get("url")
    assert count > 4000


def test_a_profile_of_a_profile_asks_for_all() -> None:
    pressure = profile("Observation", el("Observation.performer", min=1), name="clinic-bp", base=f"{CORE}bp")
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    rules = {(i.rule or "").rpartition("#")[2] for i in profile_issues(scope_of(pressure), resource, pressure["url"])}
    assert {"Observation.performer", "Observation.component:SystolicBP", "Observation.category:VSCat", "Observation.subject"} <= rules


@pytest.mark.parametrize("name", ["bodyweight", "bp", "vitalsigns"])
def test_what_is_about_another_type_is_told_so(name: str) -> None:
    issues = profile_issues(scope(), {"resourceType": "Patient"}, CORE + name)
    assert [(i.expression, i.severity) for i in issues] == [("Patient", "error")]
