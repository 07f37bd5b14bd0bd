"""The operations of messages (profiles/notifications/operations/)."""

from fhir_server.features.notifications import (
    budget_operations,
    dead_letters,
    in_app,
    preference_operations,
    push_operations,
    template_operations,
)
from fhir_server.features.notifications.preview import preview
from fhir_server.operations.call import Table, Wired

_PEOPLE = ("Patient", "RelatedPerson", "Practitioner")

OPERATIONS: Table = {
    ("ActivityDefinition", "preview-message"): Wired(preview),
    **{(kind, "message-preferences"): Wired(preference_operations.show) for kind in _PEOPLE},
    **{(kind, "set-message-preferences"): Wired(preference_operations.change) for kind in _PEOPLE},
    **budget_operations.OPERATIONS,
    **template_operations.OPERATIONS,
    **push_operations.OPERATIONS,
    **dead_letters.OPERATIONS,
    **in_app.OPERATIONS,
}
