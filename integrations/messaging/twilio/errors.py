"""What Twilio's error codes mean to us. https://www.twilio.com/docs/api/errors"""

from collections.abc import Mapping

from fhir_server.features.notifications.provider import Later, Refused

_NUMBER, _PERSON, _AWAY = "invalid-phone-number", "patient-objection", "recipient-unavailable"

# Codes that say more than "no": (code of communication-not-done-reason, whether the person said STOP).
_REFUSED: Mapping[int, tuple[str, bool]] = {
    21211: (_NUMBER, False),  # the number is none
    21217: (_NUMBER, False),
    21610: (_PERSON, True),  # he said STOP to Twilio
    21612: (_NUMBER, False),  # no way from this sender to that number
    21614: (_NUMBER, False),  # no mobile number
    30003: (_AWAY, False),  # switched off
    30004: (_PERSON, False),  # blocked
    30005: (_NUMBER, False),  # unknown
    30006: (_NUMBER, False),  # a landline
    63003: (_NUMBER, False),  # not on WhatsApp
    63024: (_NUMBER, False),
}
# What passes: too many at once, the account is suspended or its password wrong, the queue is full.
_LATER = frozenset({20001, 20003, 20005, 20429, 14107, 21611, 30001, 30002, 63018})


def meaning(code: int | None, status: int = 400) -> Refused | Later:
    """What to do about a refusal. `status`: of the HTTP answer, where it was one."""
    name = str(code) if code else f"http-{status}"
    if status in (401, 408, 425, 429) or code in _LATER:
        return Later(name)
    reason, opted_out = _REFUSED.get(code or 0, ("system-error", False))
    return Refused(name, reason, opted_out)
