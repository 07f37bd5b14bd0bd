"""FHIRPath tried out on a stored resource, and checking against a profile, at the console."""

from tests.ui.conftest import Demo


def test_an_expression_gives_its_items_with_their_places(clinic: Demo) -> None:
    owner = clinic.person("practitioner")
    page = owner.get("console/Patient/demo-0001")
    assert 'name="expression"' in page.text
    found = owner.get("console/Patient/demo-0001/fhirpath?expression=Patient.name.given", htmx=True)
    assert found.status_code == 200
    assert "Patient.name[0].given[0]" in found.text
    nothing = owner.get("console/Patient/demo-0001/fhirpath?expression=Patient.photo", htmx=True)
    assert "ne donne rien" in nothing.text
    wrong = owner.get("console/Patient/demo-0001/fhirpath?expression=Patient.nam.", htmx=True)
    assert wrong.status_code == 200 and 'role="alert"' in wrong.text


def test_a_text_is_checked_against_a_profile_that_is_named(clinic: Demo) -> None:
    owner = clinic.person("practitioner")
    text = '{"resourceType": "Observation", "status": "final", "code": {"text": "x"}}'
    vital = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    plain = owner.post("console/validate/Observation", {"json": text}, htmx=True)
    asked = owner.post("console/validate/Observation", {"json": text, "profile": vital}, htmx=True)
    assert "Observation.subject" not in plain.text
    assert "Observation.subject" in asked.text
