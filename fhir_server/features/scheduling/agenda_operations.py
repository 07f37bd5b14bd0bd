"""The operations on agendas that go beyond booking one visit: calendars, wait list, absences, what rules changed."""

from fhir_server.features.scheduling import absence, calendar_operations, impacted, open_hours, waitlist
from fhir_server.operations.call import Table, Wired

AGENDA_OPERATIONS: Table = {
    **{(kind, "calendar-link"): Wired(calendar_operations.calendar_link) for kind in calendar_operations.ACTORS},
    **{
        (kind, "revoke-calendar-links"): Wired(calendar_operations.revoke_calendar_links)
        for kind in calendar_operations.ACTORS
    },
    ("Appointment", "ics"): Wired(calendar_operations.appointment_ics),
    ("Appointment", "join-waitlist"): Wired(waitlist.join_waitlist),
    ("Appointment", "accept"): Wired(waitlist.accept),
    ("Appointment", "refuse"): Wired(waitlist.refuse),
    ("Appointment", "waitlist-offer"): Wired(waitlist.waitlist_offer),
    **{(kind, "absence"): Wired(absence.absence) for kind in absence.WHO},
    **{(kind, "end-absence"): Wired(absence.end_absence) for kind in absence.WHO},
    ("Schedule", "impacted"): Wired(impacted.impacted),
    ("Schedule", "open-hours"): Wired(open_hours.open_hours),
}
