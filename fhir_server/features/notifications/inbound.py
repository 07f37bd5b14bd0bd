"""What people write back to the clinic's number. STOP and START count at once; words for the state of an appointment or
its cancelling get a link as answer, because whoever holds a telephone is not thereby the patient. Everything else gets
no answer: a clinic's number is no mailbox, and two machines must not talk to each other.

Words and answers: `profiles/notifications/replies.json`; STOP and START in every language: `preferences.word_of`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.conformance.definitions import R4
from fhir_server.core.context import Context, Tenant
from fhir_server.features.notifications import budget, preferences
from fhir_server.settings import settings

_FILE = R4.parent / "notifications" / "replies.json"
_LONGEST = 200
_FIRST = "fr"


def answer(ctx: Context, form: Mapping[str, Sequence[str]]) -> str:
    """Do what a checked message asks for, within the open transaction; the text to answer, "" for none."""
    sender = _one(form, "From")
    channel = "whatsapp" if sender.startswith("whatsapp:") else "sms"
    address = sender.removeprefix("whatsapp:")
    text = _one(form, "Body")[:_LONGEST]
    if not address:
        return ""
    word = preferences.word_of(text)
    if word is not None:
        return _opted(ctx, address, channel, word, _language(ctx.tenant, text))
    asked = _asked(text)
    return _link(ctx, channel, *asked) if asked is not None else ""


def twiml(text: str) -> str:
    """An answer in the provider's words. https://www.twilio.com/docs/messaging/twiml"""
    message = f"<Message>{escape(text, quote=False)}</Message>" if text else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'


def _opted(ctx: Context, address: str, channel: str, word: str, language: str) -> str:
    was = preferences.stopped(ctx, address)
    if (word == "stop") is was:
        # Said before, and confirmed then.
        return ""
    change = preferences.stop if word == "stop" else preferences.start
    change(ctx, address, source=channel)
    return _text("stopped" if word == "stop" else "started", language)


def _asked(text: str) -> tuple[str, str] | None:
    """What is asked for, and in which language."""
    for meaning, languages in _replies()["words"].items():
        for language, words in languages.items():
            if _plain(text) in map(_plain, words):
                return meaning, language
    return None


def _link(ctx: Context, channel: str, meaning: str, language: str) -> str:
    chosen = ctx.tenant.settings.get(budget.SETTINGS, {})
    link = str(chosen.get("portal_url") or settings.public_url)
    if not link:
        return ""
    text = _text(meaning, language).replace("{link}", link)
    # An answer costs what a message costs: nobody spends the clinic's money by asking a thousand times.
    own = budget.plan(ctx.tenant)
    price = budget.price_of(own, channel, text)
    return text if budget.reserve(ctx.db, ctx.tenant, own, channel, price, ctx.now) else ""


def _language(tenant: Tenant, text: str) -> str:
    if any("\u0600" <= sign <= "\u06ff" for sign in text):
        return "ar"
    return tenant.language or _FIRST


def _text(name: str, language: str) -> str:
    texts: Mapping[str, str] = _replies()["texts"][name]
    return texts.get(language, texts[_FIRST])


def _plain(text: str) -> str:
    return preferences.folded(text)


def _one(form: Mapping[str, Sequence[str]], name: str) -> str:
    return (form.get(name) or [""])[0]


@cache
def _replies() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(Path(_FILE).read_bytes())
    return found
