"""Every $-operation of this server: the generic ones and those of the features."""

from fhir_server.features.notifications.operations import OPERATIONS as NOTIFICATIONS
from fhir_server.features.queue.operations import OPERATIONS as QUEUE
from fhir_server.features.scheduling.agenda_operations import AGENDA_OPERATIONS
from fhir_server.features.scheduling.guest_operations import OPERATIONS as GUESTS
from fhir_server.features.scheduling.operations import OPERATIONS as SCHEDULING
from fhir_server.operations.call import Table
from fhir_server.operations.dispatch import GENERIC

OPERATIONS: Table = {**GENERIC, **SCHEDULING, **AGENDA_OPERATIONS, **GUESTS, **QUEUE, **NOTIFICATIONS}
