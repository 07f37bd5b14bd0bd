"""The code of an appointment that a kiosk reads from a phone: whoever shows it is checked in."""

import segno

from ui import fhir
from ui.fhir import Refused
from ui.portal import own_tickets
from ui.portal.visits import Visit


def picture(visit: Visit) -> str:
    """The code as a picture (data: URL of a PNG); "" for an appointment with which nobody checks in."""
    if visit.status != "booked" or visit.is_over or visit.mode in ("video", "phone"):
        return ""
    try:
        answer = fhir.call(f"Appointment/{visit.id}/$check-in-code", method="GET")
    except Refused:
        return ""
    text = str(own_tickets.values_of(answer).get("code", ""))
    return str(segno.make(text, error="m", micro=False).png_data_uri(scale=5, border=3)) if text else ""
