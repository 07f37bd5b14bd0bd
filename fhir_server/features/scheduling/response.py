"""What the operations of booking answer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Issue, outcome
from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.features.scheduling.visit import Visit, alternatives
from fhir_server.interactions.acting import is_staff, may_see

TAKEN = ("slot-taken", "slot-held")
ALTERNATIVES = 3


def answer(ctx: Context, written: Mapping[str, dict[str, Any]], notes: Sequence[Issue] = ()) -> FhirResponse:
    """A searchset of what was written: the Appointments, by time, then what else the caller may see, then the notes.

    For one Appointment the headers say where it stands and its version, as for any write.
    """
    appointments = sorted(_of(written, "Appointment"), key=lambda each: str(each.get("start", "")))
    others = [each for each in written.values() if each["resourceType"] in ("Slot", "Patient") and may_see(ctx, each)]
    entries = [_entry(ctx, each, "match") for each in appointments]
    entries += [_entry(ctx, each, "include") for each in others]
    if notes:
        entries.append({"resource": outcome(notes), "search": {"mode": "outcome"}})
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(appointments), "entry": entries}
    headers = {}
    if len(appointments) == 1:
        version = appointments[0]["meta"]["versionId"]
        headers = {
            "ETag": f'W/"{version}"',
            "Location": f"{ctx.base}/Appointment/{appointments[0]['id']}/_history/{version}",
        }
    return FhirResponse(200, encode(bundle), headers)


def _of(written: Mapping[str, dict[str, Any]], resource_type: str) -> list[dict[str, Any]]:
    return [each for each in written.values() if each["resourceType"] == resource_type]


def _entry(ctx: Context, resource: dict[str, Any], mode: str) -> dict[str, Any]:
    url = f"{ctx.base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


@contextmanager
def or_alternatives(ctx: Context, visit: Visit, *, lapsed: bool = False) -> Iterator[None]:
    """Say other free times where the time of a visit is taken. `lapsed`: it was held, and the hold has expired."""
    try:
        yield
    except Conflict as conflict:
        if conflict.issues[0].detail in TAKEN:
            online = not is_staff(ctx)
            if lapsed:
                conflict.issues = [_lapsed(conflict.issues[0])]
            conflict.after_rollback = lambda fresh: alternatives(fresh, visit, ALTERNATIVES, online=online)
        raise


def _lapsed(issue: Issue) -> Issue:
    text = "The hold has expired, and somebody else has taken the time. Other times are in OperationOutcome.contained."
    return Issue(issue.severity, issue.code, text, issue.expression, "hold-expired")
