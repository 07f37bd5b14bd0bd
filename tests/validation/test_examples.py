"""Published resources are accepted, but for those that are not valid R4."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError
from fhir_server.core.resource_json import decode
from fhir_server.validation.run import validate
from tests.shared_data import SHARED, examples, needs_shared, shared_file

# Official examples that break the rules they illustrate: file -> the expression that is refused.
REFUSED = {
    # DeviceMetric.parent must be a Device.
    "DeviceMetric-example.json": "DeviceMetric.parent.reference",
    # reasonReference does not allow Procedure.
    "DeviceUseStatement-example.json": "DeviceUseStatement.reasonReference[0].reference",
    # The narrative is an empty div (txt-2).
    "EventDefinition-example.json": "EventDefinition.text.div",
    # dispenseRequest.performer must be an Organization.
    "MedicationRequest-medrx0301.json": "MedicationRequest.dispenseRequest.performer.reference",
    # The narrative is an empty div (txt-2).
    "Questionnaire-zika-virus-exposure-assessment.json": "Questionnaire.text.div",
}


def refused_at(resource: dict[str, Any]) -> list[str | None]:
    try:
        validate(base_registry(), resource)
    except FhirError as error:
        return [issue.expression for issue in error.issues]
    return []


@needs_shared
@pytest.mark.parametrize(("name", "text"), [pytest.param(*row, id=row[0]) for row in examples()])
def test_official_example(name: str, text: str) -> None:
    expected = [REFUSED[name]] if name in REFUSED else []
    assert refused_at(decode(text)) == expected


def _synthea() -> Iterator[str]:
    if SHARED is not None:
        yield from sorted(path.name for path in shared_file("synthea").glob("*.json.gz"))


@needs_shared
@pytest.mark.parametrize("name", list(_synthea()))
def test_every_entry_of_a_synthea_bundle_is_accepted(name: str) -> None:
    bundle = decode(gzip.decompress(shared_file(f"synthea/{name}").read_bytes()))
    assert [at for entry in bundle["entry"] for at in refused_at(entry["resource"])] == []
    assert refused_at(bundle) == []


@needs_shared
def test_a_spoiled_example_is_refused() -> None:
    """Known bad: the runner does notice."""
    name, text = next(row for row in examples() if row[0].startswith("Observation"))
    resource = decode(text)
    resource["status"] = "no such status"
    assert refused_at(resource) == ["Observation.status"], name
