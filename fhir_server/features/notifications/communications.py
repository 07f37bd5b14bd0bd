"""A message as a FHIR resource: the Communication that tells what was sent to whom and what became of it.

It quotes the text only where the text is no secret: links in messages are keys to a ticket or an appointment.
https://hl7.org/fhir/R4/communication.html
"""

from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import NotFound
from fhir_server.features.notifications.draft import Draft
from fhir_server.interactions import stored
from fhir_server.interactions.changes import Changes
from fhir_server.storage.messages import Message, micros

KIND = "urn:salam:CodeSystem:message-kind"
CHANNEL = "urn:salam:CodeSystem:message-channel"
PROVIDER = "urn:salam:message-provider"
SANDBOX = "urn:salam:StructureDefinition:sandbox"
REASON = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"
_SANDBOX_NOTE = "Sandbox: nothing was sent to anybody."
# Why a message was not sent, for people; by the row's `error`. What a provider says stands there as its code.
_WHY = {
    "budget": "The month's budget for messages is spent.",
    "price": "There is a budget, but no price is set for this channel.",
    "provider": "No provider is set up for this channel.",
    "unwanted": "It was not wanted any more when its time came.",
    "unknown": "Nobody can tell whether it was sent.",
    "unreadable": "Its address and text were forgotten.",
}


def make(draft: Draft, now: datetime) -> dict[str, Any]:
    """The Communication of a draft that waits. An in-app message is there by being written."""
    made: dict[str, Any] = {
        "resourceType": "Communication",
        "status": "preparation",
        "category": [{"coding": [{"system": KIND, "code": draft.kind}]}],
        "medium": [{"coding": [{"system": CHANNEL, "code": draft.channel}]}],
        "recipient": [{"reference": draft.recipient}],
        "about": [{"reference": draft.about}],
    }
    if draft.based_on:
        made["basedOn"] = [{"reference": draft.based_on}]
    if draft.recipient.startswith("Patient/"):
        made["subject"] = {"reference": draft.recipient}
    if draft.subject:
        made["topic"] = {"text": draft.subject}
    if draft.channel == "in-app":
        made["status"] = "completed"
        made["sent"] = _instant(now)
    if draft.channel == "in-app" or (draft.channel == "email" and "://" not in draft.text):
        made["payload"] = [{"contentString": draft.text}]
    return made


def waits(ctx: Context, message: Message) -> bool:
    """Whether the Communication still says that the message is to be sent: people may stop it there."""
    found = stored.by_rid(ctx, [message.rid]).get(message.rid)
    return found is not None and found["status"] == "preparation"


def tell(
    ctx: Context, message: Message, *, now: datetime, reason: str = "", sandbox: bool = False, closed: bool = False
) -> None:
    """Write what the message's row says into its Communication, unless somebody deleted that or closed it by hand.

    `reason`: code of communication-not-done-reason; `closed`: it was sent, and nothing more will be heard of it.
    """
    found = stored.by_rid(ctx, [message.rid]).get(message.rid)
    if found is None:
        return
    unit = Changes(ctx)
    try:
        resource = unit.lock("Communication", found["id"])
    except NotFound:
        return
    if resource["status"] in ("entered-in-error", "stopped", "on-hold"):
        return
    before = dict(resource)
    _STATES[message.state](resource, message, now)
    if closed:
        resource["status"] = "completed"
    if resource["status"] in ("not-done", "unknown"):
        resource["statusReason"] = _reason(message.error, reason)
    else:
        resource.pop("statusReason", None)
    if message.provider_id:
        identifier = {"system": f"{PROVIDER}:{message.provider}", "value": message.provider_id}
        resource["identifier"] = [identifier]
    if sandbox and message.provider_id:
        resource["extension"] = [{"url": SANDBOX, "valueBoolean": True}]
        resource["note"] = [{"text": _SANDBOX_NOTE}]
    if resource != before:
        unit.put(resource)
        unit.run()


def _waiting(resource: dict[str, Any], message: Message, now: datetime) -> None:
    resource["status"] = "preparation"


def _sent(resource: dict[str, Any], message: Message, now: datetime) -> None:
    resource["status"] = "in-progress"
    resource.setdefault("sent", _instant(message.since or now))


def _delivered(resource: dict[str, Any], message: Message, now: datetime) -> None:
    resource["status"] = "completed"
    resource.setdefault("sent", _instant(message.since or now))
    resource.setdefault("received", _instant(now))


def _not_done(resource: dict[str, Any], message: Message, now: datetime) -> None:
    resource["status"] = "unknown" if message.error == "unknown" else "not-done"


# Of the states of a row, those that the Communication shows.
_STATES = {
    "queued": _waiting,
    "sending": _waiting,
    "sent": _sent,
    "delivered": _delivered,
    "failed": _not_done,
    "dead": _not_done,
    "stopped": _not_done,
}


def _reason(error: str, code: str) -> dict[str, Any]:
    reason: dict[str, Any] = {"text": _WHY.get(error, f"The provider said: {error}.")}
    if code:
        reason["coding"] = [{"system": REASON, "code": code}]
    return reason


def _instant(moment: datetime) -> str:
    return format_instant(micros(moment))
