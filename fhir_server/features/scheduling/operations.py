"""The operations of booking, as they are wired."""

from collections.abc import Mapping

from fhir_server.features.scheduling.book import book
from fhir_server.features.scheduling.cancel import cancel
from fhir_server.features.scheduling.confirm import confirm, decline
from fhir_server.features.scheduling.find import FIND_OPERATIONS
from fhir_server.features.scheduling.hold import hold
from fhir_server.features.scheduling.reschedule import reschedule
from fhir_server.operations.call import Wired

OPERATIONS: Mapping[tuple[str | None, str], Wired] = {
    **FIND_OPERATIONS,
    ("Appointment", "hold"): Wired(hold),
    ("Appointment", "book"): Wired(book),
    ("Appointment", "confirm"): Wired(confirm),
    ("Appointment", "decline"): Wired(decline),
    ("Appointment", "cancel"): Wired(cancel),
    ("Appointment", "reschedule"): Wired(reschedule),
}
