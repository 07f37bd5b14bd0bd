"""What a tenant chose of messages: the object `notifications` of its settings."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from fhir_server.core.context import Tenant
from fhir_server.core.errors import Issue
from fhir_server.features.notifications.kinds import channels, kinds, rules
from fhir_server.features.notifications.quiet_hours import Quiet, parsed

SETTINGS = "notifications"
_MOST_BEFORE = timedelta(days=90)
_MOST_REMINDERS = 5
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,2})W)?(?:(?P<days>\d{1,2})D)?(?:T(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,5})M)?)?\Z"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """channels: those that the tenant uses; silent: kinds that are sent only to who asked for them; order: of channels;
    reminders: how long before; region: country of phone numbers that are written without one, or ""; portal: address of
    its portal, or ""; approved: provider's template id by `kind.language`; replies: whether people can answer an SMS;
    phone: its own, for people to call."""

    channels: frozenset[str]
    silent: frozenset[str]
    order: tuple[str, ...]
    quiet: Quiet
    reminders: tuple[timedelta, ...]
    region: str
    portal: str
    approved: Mapping[str, str]
    replies: bool
    phone: str


def options(tenant: Tenant) -> Options:
    """What the tenant chose; what it did not choose, or what `check` would refuse, is as in rules.json."""
    own = _sound(tenant.settings.get(SETTINGS, {}))
    quiet = rules()["quiet_hours"]
    return Options(
        channels=frozenset(own.get("channels", channels())),
        silent=frozenset(own.get("silent", ())),
        order=tuple(own.get("order", rules()["order"])),
        quiet=Quiet(_clock(own.get("quiet_from", quiet["from"])), _clock(own.get("quiet_until", quiet["until"]))),
        reminders=tuple(sorted(set(map(duration, own.get("reminders", rules()["reminders"]))), reverse=True)),
        region=str(own.get("phone_region") or tenant.settings.get("country") or "").upper(),
        portal=own.get("portal_url", ""),
        approved=own.get("whatsapp_templates", {}),
        replies=own.get("replies", False),
        phone=own.get("phone", ""),
    )


def check(chosen: Any) -> list[Issue]:
    """What is wrong with the object, one issue for each key; names that nobody reads are wrong too."""
    if not isinstance(chosen, dict):
        return [Issue("error", "structure", f"{SETTINGS} is a JSON object.", SETTINGS)]
    return [
        Issue("error", "value", f"{name} {_WRONG[name]}" if name in _WRONG else _unknown(name), f"{SETTINGS}.{name}")
        for name in chosen
        if not _holds(name, chosen[name])
    ]


def duration(text: Any) -> timedelta:
    """A time before something: `P2D`, `PT2H`, `P1W`, `P1DT12H`; 1 minute to 90 days. Raises ValueError.

    The durations of ISO 8601 without months and years, which have no fixed length.
    """
    match = _DURATION.match(text) if isinstance(text, str) else None
    units = match.groupdict() if match else {}
    found = timedelta(**{unit: int(number or 0) for unit, number in units.items()})
    if not timedelta(minutes=1) <= found <= _MOST_BEFORE:
        raise ValueError("not a duration of 1 minute to 90 days")
    return found


def _sound(chosen: Any) -> dict[str, Any]:
    """The part of the object that can be used."""
    if not isinstance(chosen, dict):
        _log.error("a tenant's setting notifications is no object; the usual ones hold")
        return {}
    faulty = [name for name in chosen if not _holds(name, chosen[name])]
    if faulty:
        _log.error("settings notifications of a tenant are not used: %s", ", ".join(map(str, faulty)))
    return {name: value for name, value in chosen.items() if name not in faulty}


def _holds(name: str, value: Any) -> bool:
    try:
        return name in _CHECKS and _CHECKS[name](value)
    except (ValueError, TypeError, AttributeError, InvalidOperation):
        return False


def _unknown(name: str) -> str:
    return f"There is no setting {name!r}. There are: {', '.join(_CHECKS)}."


def _all_in(known: Callable[[], Any]) -> Callable[[Any], bool]:
    def check_list(value: Any) -> bool:
        return isinstance(value, list) and len(set(value)) == len(value) and all(code in known() for code in value)

    return check_list


def _clock(text: Any) -> time:
    return parsed(str(text))


def _is_clock(value: Any) -> bool:
    return isinstance(value, str) and parsed(value) is not None


def _is_reminders(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_REMINDERS and all(duration(text) for text in value)


def _is_region(value: Any) -> bool:
    return isinstance(value, str) and value.upper() in phonenumbers.SUPPORTED_REGIONS


def _is_url(value: Any) -> bool:
    url = urlsplit(value)
    return url.scheme == "https" and bool(url.hostname) and value.isprintable() and not set(value) & set(' "<>')


def _is_approved(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key.rpartition(".")[0] in kinds() and key.rpartition(".")[2] and isinstance(id_, str) and id_
        for key, id_ in value.items()
    )


def _is_amount(value: Any) -> bool:
    return isinstance(value, str) and Decimal(value).is_finite() and Decimal(value) >= 0


def _is_costs(value: Any) -> bool:
    return isinstance(value, dict) and all(name in channels() and _is_amount(cost) for name, cost in value.items())


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 40


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper()


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "channels": _all_in(channels),
    "order": _all_in(lambda: [code for code in channels() if code != "in-app"]),
    "silent": _all_in(kinds),
    "quiet_from": _is_clock,
    "quiet_until": _is_clock,
    "reminders": _is_reminders,
    "phone_region": _is_region,
    "phone": _is_line,
    "portal_url": _is_url,
    "replies": lambda value: isinstance(value, bool),
    "whatsapp_templates": _is_approved,
    "monthly_budget": _is_amount,
    "currency": _is_currency,
    "costs": _is_costs,
}
_WRONG: Mapping[str, str] = {
    "channels": "is a list of channels, each once: push, whatsapp, sms, email, in-app.",
    "order": "is a list of channels in the order in which they are tried, each once: push, whatsapp, sms, email.",
    "silent": "is a list of kinds of messages, each once, such as reminder.",
    "quiet_from": "is a time of day, 21:00.",
    "quiet_until": "is a time of day, 08:00.",
    "reminders": 'is a list of at most 5 durations from 1 minute to 90 days, such as "P2D" and "PT2H".',
    "phone_region": "is a country of two letters, such as MA.",
    "phone": "is a line of at most 40 characters.",
    "portal_url": "is an address that begins with https://.",
    "replies": "is true or false.",
    "whatsapp_templates": 'names approved templates by kind and language: {"reminder.fr": "HX…"}.',
    "monthly_budget": 'is an amount as text, "500.00".',
    "currency": "is a currency of three letters, such as MAD.",
    "costs": 'says what one part costs, by channel: {"sms": "0.05"}.',
}
