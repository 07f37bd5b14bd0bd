"""Who may act on a queue: staff on every ticket, patients on their own."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.features.queue.action import Action, Case
from fhir_server.features.queue.visits import instant
from fhir_server.interactions import stored
from fhir_server.interactions.acting import check_staff, is_staff, may_write
from fhir_server.security import audit, policy

_LONGEST = 500
# Resources that can stand for a user as an agent.
_PEOPLE = ("Practitioner/", "PractitionerRole/", "Patient/", "RelatedPerson/", "Device/", "Organization/")
_POSITION = "urn:salam:StructureDefinition:queue-position"


def staff(ctx: Context) -> bool:
    """Whether the caller may act on every ticket."""
    return is_staff(ctx, "Task")


def check_is_staff(ctx: Context, what: str) -> None:
    """Raise `Forbidden` unless the caller may act on every ticket."""
    check_staff(ctx, "Task", what)


def check_possible(ctx: Context, interaction: str, resource_type: str = "Task") -> None:
    """Raise `Forbidden` for who may not do this to any resource of the type: before anything else is said."""
    if not staff(ctx):
        policy.allow(ctx, interaction, resource_type)


def own_ticket(ctx: Context, task_id: str) -> dict[str, Any]:
    """The Task of a ticket that the caller may act on. Raises `Forbidden`, and `NotFound` for one that he does not
    see."""
    check_possible(ctx, "update")
    task = stored.get(ctx, "Task", task_id)
    check_own(ctx, task)
    return task


def check_own(ctx: Context, task: dict[str, Any], letter: str = "u") -> None:
    """Raise `Forbidden` unless the ticket is the caller's own, or he is staff."""
    if not staff(ctx):
        may_write(ctx, task, letter)


def reason_of(parameters: dict[str, Any]) -> str:
    """The reason that was given, "" for none. Raises `Invalid` when it is too long."""
    reason = str(parameters.get("reason", "")).strip()
    if len(reason) > _LONGEST:
        raise Invalid(f"reason takes up to {_LONGEST} characters.", expression="http.reason", code="value")
    return reason


def local_reference(ctx: Context, reference: dict[str, Any], resource_type: str, name: str) -> str:
    """The id to which a parameter refers. Raises `Invalid` when it is no resource of this type in the tenant."""
    kind, _, id_ = (stored.local(ctx, reference) or "").partition("/")
    if kind != resource_type or not id_:
        text = f"{name} refers to a resource of this server: {resource_type}/[id]."
        raise Invalid(text, expression=f"http.{name}", code="value")
    return id_


def professional(ctx: Context) -> dict[str, Any] | None:
    """The calling professional, as a Reference."""
    who = ctx.principal.user
    fhir_user = (who.fhir_user if who else None) or ""
    return {"reference": fhir_user} if fhir_user.startswith(("Practitioner/", "PractitionerRole/")) else None


def account_for(
    ctx: Context, action: Action, case: Case, reason: str, *, before: int | None = None, after: int | None = None
) -> None:
    """Note why the order was not kept: a Provenance with the positions, and an event in the audit log."""
    note: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": f"Task/{case.task['id']}"}],
        "recorded": instant(action.now),
        "activity": {"coding": [{"system": "urn:salam:CodeSystem:queue-action", "code": action.name}]},
        "reason": [{"text": reason}],
        "agent": [{"who": _agent(ctx)}],
    }
    parts = [{"url": n, "valuePositiveInt": v} for n, v in (("before", before), ("after", after)) if v is not None]
    if parts:
        note["extension"] = [{"url": _POSITION, "extension": parts}]
    action.changes.add(note)
    detail = {"what": f"Task/{case.task['id']}/${action.name}", "reason": reason}
    event = audit.about(ctx, "operation", resource_type="Task", rids=[case.ticket.rid], detail=detail)
    action.statements.append(event)


def _agent(ctx: Context) -> dict[str, Any]:
    who = ctx.principal.user
    if who is not None and who.fhir_user and who.fhir_user.startswith(_PEOPLE):
        return {"reference": who.fhir_user}
    if who is not None:
        return {"identifier": {"system": "urn:salam:user", "value": who.id}}
    return {"identifier": {"system": "urn:salam:client", "value": ctx.principal.client_id}}
