"""The operations for visitors without account, as they are wired."""

from collections.abc import Mapping

from fhir_server.features.scheduling.directory import directory
from fhir_server.features.scheduling.guest_prove import prove
from fhir_server.features.scheduling.guest_register import register
from fhir_server.operations.call import Wired

OPERATIONS: Mapping[tuple[str | None, str], Wired] = {
    ("HealthcareService", "directory"): Wired(directory),
    ("Patient", "register"): Wired(register),
    ("Patient", "prove"): Wired(prove),
}
