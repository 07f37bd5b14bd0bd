"""The pages of the room."""

from ui.doctor import (
    allergies,
    applications,
    break_glass,
    day,
    diagnoses,
    documents,
    medicines,
    notes,
    orders,
    patients,
    prescriptions,
    record,
    terms,
    tickets,
    visits,
    vitals,
)
from ui.doctor.entry import bp

# Each module has put its views on the blueprint when it was imported.
__all__ = [
    "BLUEPRINTS", "allergies", "applications", "break_glass", "day", "diagnoses", "documents", "medicines", "notes",
    "orders", "patients", "prescriptions", "record", "terms", "tickets", "visits", "vitals",
]  # fmt: skip
BLUEPRINTS = (bp,)
