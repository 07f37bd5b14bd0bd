"""How the sandbox behaves: like Twilio, by the end of the number, as Twilio's own test numbers do.

A number that ends in none of the scenarios' digits gets every message. Codes, states and their order are Twilio's.
https://www.twilio.com/docs/iam/test-credentials#magic-input
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.features.notifications.provider import Later, Outcome, Unclear
from integrations.messaging.twilio.errors import meaning

# A callback that is to come: seconds after the one before (or after the message was accepted), state, error code.
Told = tuple[int, str, str]
_SENT: Told = (1, "sent", "")
_DELIVERED: Told = (2, "delivered", "")
_NORMAL = (_SENT, _DELIVERED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens to a message. `outcome`: what the caller gets, None for its provider id; `taken`: whether it is sent
    all the same; `plan`: what is told about it later."""

    outcome: Outcome | None = None
    taken: bool = True
    plan: tuple[Told, ...] = _NORMAL


def _refused(code: int, status: int = 400) -> Answer:
    return Answer(meaning(code, status), taken=False)


# By the number's end: what it is there to try out.
SCENARIOS: Mapping[str, str] = {
    "5550001": "invalid number: refused at once (21211)",
    "5550002": "switched off: taken, then undelivered (30003)",
    "5550003": "too many at once: the first attempt is refused (429)",
    "5550004": "said STOP to the provider: refused (21610)",
    "5550005": "the provider fails: the first attempt ends in 500 and is not taken",
    "5550006": "no answer, but the message is taken and delivered",
    "5550007": "told late: after ten minutes",
    "5550008": "told three times each",
    "5550009": "told in the wrong order",
    "5550010": "WhatsApp outside the 24 hours: taken, then failed (63016); SMS arrive",
    "5550011": "no answer at the first attempt, and the message is not taken",
}


def answer(number: str, channel: str, attempt: int) -> Answer:
    """What happens to a message to this number at this attempt (1: the first)."""
    first = attempt == 1
    match number[-7:]:
        case "5550001":
            return _refused(21211)
        case "5550002":
            return Answer(plan=(_SENT, (2, "undelivered", "30003")))
        case "5550003" if first:
            return Answer(Later("20429", 5), taken=False)
        case "5550004":
            return _refused(21610)
        case "5550005" if first:
            return Answer(Unclear("http-500"), taken=False)
        case "5550006":
            return Answer(Unclear("timeout"))
        case "5550007":
            return Answer(plan=((600, "sent", ""), _DELIVERED))
        case "5550008":
            return Answer(plan=(_SENT, _SENT, _SENT, _DELIVERED, _DELIVERED, _DELIVERED))
        case "5550009":
            return Answer(plan=(_DELIVERED, _SENT, (1, "queued", "")))
        case "5550010" if channel == "whatsapp":
            return Answer(plan=((1, "failed", "63016"),))
        case "5550011" if first:
            return Answer(Unclear("timeout"), taken=False)
    return Answer()
