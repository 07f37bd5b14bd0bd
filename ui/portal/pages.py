"""The patient's pages, the page of a ticket's link, and what makes them an app."""

from ui.portal import (
    appointments,
    consents,
    documents,
    home,
    installing,
    messages,
    moving,
    my_data,
    preferences,
    questions,
    queueing,
    record,
    results,
    ticket,
)
from ui.portal.place import bp

# Each module puts its views on the blueprint.
__all__ = [
    "BLUEPRINTS", "appointments", "consents", "documents", "home", "messages", "moving", "my_data", "preferences",
    "questions", "queueing", "record", "results",
]  # fmt: skip

BLUEPRINTS = (bp, ticket.bp, installing.bp)
