"""Which stored Appointments an operation acts on: the one that is named, and those that follow in its series."""

from datetime import timedelta

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Forbidden, Invalid, PreconditionFailed, Unprocessable
from fhir_server.features.scheduling import callers
from fhir_server.features.scheduling.asked import appointment_id as reference_id
from fhir_server.features.scheduling.fields import PROPOSAL, SERIES, Resource, series_of
from fhir_server.features.scheduling.visit import Visit, visit_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, check_staff, is_staff, may_write
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall

_MOST = 200


def locked(ctx: Context, unit: Changes, call: OperationCall) -> Resource:
    """The Appointment of the call, locked. Raises `NotFound` for one that the caller may not see, `Forbidden` for one
    that he may not change."""
    reference = call.parameters.get("appointment-reference")
    if (reference is None) == (call.id is None):
        raise Invalid(
            f"Name the Appointment once: Appointment/[id]/${call.operation.code}, or appointment-reference.",
            expression="http.appointment-reference",
            code="required",
        )
    id_ = call.id or reference_id(reference or {})
    if id_.startswith(PROPOSAL):
        raise Unprocessable(
            "A proposal is not stored: there is nothing to change. Book it with $book.",
            expression="http.appointment-reference",
            code="business-rule",
        )
    stored.get(ctx, "Appointment", id_)
    appointment = unit.lock("Appointment", id_)
    _check_version(unit, id_, call.if_match)
    may_write(ctx, appointment, "u")
    if callers.foreign(ctx, appointment):
        raise Forbidden("You may change your own visits only.", expression="Appointment.participant")
    return appointment


def _check_version(unit: Changes, appointment_id: str, if_match: str | None) -> None:
    if if_match is None:
        return
    wanted = {tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")}
    version = unit.version("Appointment", appointment_id)
    if "*" not in wanted and str(version) not in wanted:
        raise PreconditionFailed(
            f"The Appointment is at version {version}, not at the one in If-Match.", expression="http.If-Match"
        )


def locked_by_staff(ctx: Context, unit: Changes, call: OperationCall, what: str) -> Resource:
    """The same for what only staff may do; `what` ends the sentence "Only staff may …"."""
    check_staff(ctx, "Appointment", what)
    return locked(ctx, unit, call)


def following(ctx: Context, unit: Changes, appointment: Resource, statuses: frozenset[str]) -> list[Resource]:
    """The later Appointments of the same series that are in one of these statuses, locked; [] for a single visit."""
    series = series_of(appointment)
    if series is None or "start" not in appointment:
        return []
    found = stored.find(as_server(ctx), "Appointment", [("identifier", f"{SERIES}|{series}")], limit=_MOST)
    start = moment(appointment["start"])
    names = [
        ("Appointment", each["id"])
        for each in found
        if each["id"] != appointment["id"] and "start" in each and moment(each["start"]) > start
    ]
    later = unit.lock_all(names).values() if names else []
    visible = callers.seen(ctx, later)
    mine = [each for each in later if each["id"] in visible and not callers.foreign(ctx, each)]
    return sorted((each for each in mine if each["status"] in statuses), key=lambda each: str(each["start"]))


def check_cutoff(ctx: Context, appointment: Resource, what: str) -> bool:
    """Whether it is later than the service's cancelCutoff. Raises `Unprocessable` then unless staff asks."""
    if "start" not in appointment or appointment["status"] in ("proposed", "waitlist"):
        return False
    visit = visit_or_none(ctx, appointment)
    cutoff = visit.rules.cancel_cutoff if visit else 0
    late = moment(appointment["start"]) - timedelta(minutes=cutoff) < ctx.now
    if late and not is_staff(ctx):
        raise Unprocessable(
            f"This visit can be {what} until {cutoff} minutes before its start. Please call the clinic.",
            expression="Appointment.start",
            code="business-rule",
            detail="too-late",
        )
    return late


def visit_or_none(ctx: Context, appointment: Resource) -> Visit | None:
    """The visit of a stored Appointment; None for one without time, or in no agenda of this clinic."""
    if "start" not in appointment or "end" not in appointment:
        return None
    try:
        return visit_of(as_server(ctx), appointment)
    except Unprocessable:
        return None
