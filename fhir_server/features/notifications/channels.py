"""Who carries the messages of a channel. SMS and WhatsApp: Twilio, where its credentials are set; else the sandbox,
which sends nothing, and in production nobody."""

import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import cast

from fhir_server.features.notifications.provider import Provider
from fhir_server.settings import settings

TWILIO, SANDBOX, SMTP, WEB_PUSH = "twilio", "sandbox", "smtp", "web-push"
# Imported when first used: web processes need none of the libraries.
_MODULES: Mapping[str, str] = {
    TWILIO: "integrations.messaging.twilio.connector",
    SMTP: "integrations.messaging.smtp.connector",
    SANDBOX: "fhir_server.features.notifications.sandbox",
    WEB_PUSH: "fhir_server.features.notifications.web_push",
}


def _by_phone(sender: str) -> str:
    if settings.twilio_account_sid:
        return TWILIO if settings.twilio_auth_token and sender else ""
    return "" if settings.production else SANDBOX


_TABLE: Mapping[str, Callable[[], str]] = {
    "sms": lambda: _by_phone(settings.twilio_from),
    "whatsapp": lambda: _by_phone(settings.twilio_whatsapp_from),
    "email": lambda: SMTP,
    "push": lambda: WEB_PUSH,
}


def provider(channel: str) -> Provider | None:
    """Who carries the channel's messages now; None when nobody does."""
    name = _TABLE[channel]() if channel in _TABLE else ""
    return _connector(name) if name else None


def named(name: str) -> Provider | None:
    """A provider by its name, if it is still in use."""
    in_use = {choose() for choose in _TABLE.values()}
    return _connector(name) if name and name in in_use else None


def unserved() -> list[str]:
    """The channels that nobody carries."""
    return [channel for channel, choose in _TABLE.items() if not choose()]


def sandboxed() -> bool:
    """Whether the sandbox stands in for somebody."""
    return not settings.twilio_account_sid and not settings.production


def callback_secret() -> str:
    """What signs the callbacks of SMS and WhatsApp; "" when nobody may call back."""
    if settings.twilio_auth_token:
        return settings.twilio_auth_token
    if not sandboxed():
        return ""
    return hmac.new(settings.secret_key(), b"salam sandbox of messages", "sha256").hexdigest()


@lru_cache(maxsize=8)
def _connector(name: str) -> Provider:
    return cast(Provider, import_module(_MODULES[name]).PROVIDER)
