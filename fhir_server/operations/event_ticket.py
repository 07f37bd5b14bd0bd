"""$event-ticket (profiles/operations/event-ticket.json): a secret for the URL of an event stream."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.events import tickets
from fhir_server.operations.call import OperationCall


def event_ticket(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with a new ticket and the number of seconds in which it has to be used."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "ticket", "valueString": tickets.issue(ctx)},
            {"name": "seconds", "valueInteger": tickets.SECONDS},
        ],
    }
