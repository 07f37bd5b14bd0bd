"""A clinic made as an operator makes one: patients by FHIR; people, clients and launches by the command line."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.settings import settings
from tests.conftest import TestTenant

PASSWORD = "rivage lampe ortie 42"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
PATIENT_SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"
EHR_SCOPE = "launch openid fhirUser online_access patient/Patient.rs patient/Observation.rs patient/Encounter.rs"


@dataclass
class Clinic:
    """A tenant on the live server and what stands in it. `app`: the app's origin."""

    tenant: TestTenant
    server: str
    app: str
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The FHIR base."""
        return f"{self.server}/t/{self.tenant.slug}/fhir"

    def at(self, page: str) -> str:
        """The URL of a page of ours: `login`, `account`, `launch?patient=…`."""
        return f"{self.server}/t/{self.tenant.slug}/oauth/{page}"

    def operate(self, *arguments: str) -> Any:
        """Run a command of the operator's in this process, on this tenant; what it printed."""
        result = CliRunner().invoke(commands, [*arguments, "--tenant", self.tenant.slug, "--json"], standalone_mode=False)
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    def type_in(self, *arguments: str) -> Any:
        """The same in a process of its own, as it is typed at a terminal."""
        command = [sys.executable, "-m", "fhir_server.cli", *arguments, "--tenant", self.tenant.slug, "--json"]
        environment = {**os.environ, **settings.environment()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def client_file(self, client_id: str, **metadata: Any) -> str:
        """A file that describes a client: public, with refresh tokens, unless `metadata` says otherwise."""
        path = self.folder / f"{client_id}.json"
        usual = {
            "client_id": client_id,
            "client_name": "Tension diary",
            "token_endpoint_auth_method": "none",
            "redirect_uris": [f"{self.app}/index.html"],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": PATIENT_SCOPE,
        }
        path.write_text(json.dumps({**usual, **metadata}))
        return str(path)

    def add_app(self, client_id: str, **metadata: Any) -> str:
        """Register an app: its client_id."""
        return str(self.operate("client", "create", self.client_file(client_id, **metadata))["client_id"])

    def add_person(self, name: str, role: str, resource: str) -> str:
        """Make an account with the usual password: its address."""
        email = f"{name.lower()}@clinic.example"
        given = ("--email", email, "--password", PASSWORD, "--role", role, "--resource", resource, "--name", name)
        return str(self.operate("user", "create", *given)["email"])


def _observation(patient: str, text: str, category: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"text": text},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-05-04T08:00:00Z",
    }


def _person(kind: str, family: str, given: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "name": [{"family": family, "given": [given]}], **more}


def fill(clinic: Clinic) -> Clinic:
    """Patients with observations and a visit, a practitioner and a patient who sign in, and one app for each launch."""
    fhir, ids = clinic.tenant.client(), clinic.ids
    ids["amina"] = fhir.create(_person("Patient", "بنعلي", "أمينة", gender="female", birthDate="1980-03-21"))["id"]
    ids["omar"] = fhir.create(_person("Patient", "العلمي", "عمر", gender="male", birthDate="1975-01-02"))["id"]
    ids["doctor"] = fhir.create(_person("Practitioner", "القاضي", "ليلى"))["id"]
    visit = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "زيارة"},
        "subject": {"reference": f"Patient/{ids['amina']}"},
        "period": {"start": "2026-05-04T08:00:00Z"},
    }
    ids["visit"] = fhir.create(visit)["id"]
    for patient, text, category in (
        (ids["amina"], "Hémoglobine", "laboratory"),
        (ids["amina"], "Tension", "vital-signs"),
        (ids["omar"], "Créatinine", "laboratory"),
    ):
        fhir.create(_observation(patient, text, category))
    clinic.add_app("diary")
    launch = f"{clinic.app}/launch.html?client_id=board&scope={EHR_SCOPE.replace(' ', '+')}"
    clinic.add_app("board", client_name="Ward board", scope=f"{EHR_SCOPE} launch/patient launch/encounter", launch_url=launch)
    clinic.add_person("Amina", "patient", f"Patient/{ids['amina']}")
    clinic.add_person("Leila", "practitioner", f"Practitioner/{ids['doctor']}")
    return clinic
