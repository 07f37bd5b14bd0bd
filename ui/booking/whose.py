"""For whom somebody books who is signed in: the patients of the account."""

from flask import g

from ui import fhir, formats
from ui.booking.place import person


def patients() -> dict[str, str]:
    """`Patient/id` and name of those for whom the person at the browser may book, the own record first. Empty for
    visitors."""
    if "booking_patients" not in g:
        who = person()
        ids = who.user.patients if who else ()
        found = fhir.gather([f"Patient/{id_}" for id_ in ids]) if ids else []
        g.booking_patients = {
            f"Patient/{each['id']}": formats.person(each) for each in found if isinstance(each, dict)
        }
    known: dict[str, str] = g.booking_patients
    return known
