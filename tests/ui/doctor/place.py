"""A visit in the demo clinic, for tests of what is written in it."""

from dataclasses import dataclass
from typing import Any

from tests.client import Client
from tests.ui.conftest import Demo, Person

DOCTOR = "Practitioner/demo-elamrani"


@dataclass(slots=True)
class Visit:
    """A new patient in a visit with the demo's doctor."""

    client: Client
    doctor: Person
    patient: dict[str, Any]
    encounter: dict[str, Any]

    @property
    def path(self) -> str:
        """The record below the pages' base."""
        return f"doctor/patient/{self.patient['id']}"

    @property
    def query(self) -> str:
        """The visit, as forms name it."""
        return f"?visit={self.encounter['id']}"

    def send(
        self,
        form: str,
        fields: dict[str, Any] | None = None,
        *,
        htmx: bool = True,
        query: str = "",
        who: Person | None = None,
    ) -> Any:
        """Post a form of the record."""
        return (who or self.doctor).post(f"{self.path}/{form}{query or self.query}", fields, htmx=htmx)

    def stored(self, resource_type: str, query: str = "") -> list[dict[str, Any]]:
        """What is stored about the patient, oldest first."""
        element = "patient"
        found = self.client.search(
            f"{resource_type}?{element}=Patient/{self.patient['id']}&_sort=_lastUpdated&_count=50{query}"
        )
        return [each for each in found if each["resourceType"] == resource_type]

    def only(self, resource_type: str, query: str = "") -> dict[str, Any]:
        """The one that is stored."""
        found = self.stored(resource_type, query)
        assert len(found) == 1, found
        return found[0]


def new_patient(client: Client, **more: Any) -> dict[str, Any]:
    """A patient who was never here before."""
    return client.create({
        "resourceType": "Patient", "name": [{"family": "Essayeh", "given": ["Nora"]}], "gender": "female",
        "birthDate": "1987-05-02", "communication": [{"language": {"coding": [{"code": "fr"}]}, "preferred": True}], **more,
    })  # fmt: skip


def new_visit(demo: Demo, doctor: Person, **more: Any) -> Visit:
    """A patient whose visit has begun."""
    client = demo.client()
    patient = new_patient(client, **more)
    encounter = client.create({
        "resourceType": "Encounter", "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient['id']}"},
        "participant": [{"individual": {"reference": DOCTOR}}],
        "period": {"start": "2026-11-21T09:00:00Z"}, "serviceProvider": {"reference": "Organization/demo-clinic"},
    })  # fmt: skip
    return Visit(client, doctor, patient, encounter)
