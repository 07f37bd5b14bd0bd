"""Web push: to every browser that a person subscribed. A browser that is gone is forgotten.

A push may be repeated without harm: the later one takes the place of the earlier one under the same topic.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec

from fhir_server.core.context import Context
from fhir_server.core.keys import self_key
from fhir_server.features.notifications import channels, push_keys
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.provider import Accepted, Found, Later, Outcome, Outgoing, Refused, Unclear
from fhir_server.security.sealing import Unsealable, unseal
from fhir_server.settings import settings
from fhir_server.storage import push_subscriptions
from integrations.messaging.web_push.connector import GONE, Browser, Push, push

_LONGEST_S = 24 * 3600
_URGENT = "ticket-called"
# Services take 4096 bytes, encrypted.
_MOST_TEXT = 600


class WebPush:
    """The push services of the browsers."""

    name = channels.WEB_PUSH
    sandbox = False

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """Push to each of the person's browsers; what the luckiest one got."""
        person = self_key(*outgoing.draft.recipient.partition("/")[::2])
        subscribed = push_subscriptions.of_person(ctx.db, ctx.tenant.id, person)
        browsers: dict[bytes, Browser] = {}
        for each in subscribed:
            try:
                plain = unseal(ctx.db, ctx.tenant.id, each.sealed, push_keys.SUBSCRIPTION)
            except Unsealable:
                push_subscriptions.remove(ctx.db, ctx.tenant.id, each.hash)
            else:
                browsers[each.hash] = msgspec.json.decode(plain, type=Browser)
        key = push_keys.private(ctx)
        ctx.db.commit()
        heard = {digest: push(browser, _push(ctx, outgoing), key, _subject()) for digest, browser in browsers.items()}
        gone = [digest for digest, outcome in heard.items() if isinstance(outcome, Refused) and outcome.error == GONE]
        for digest in gone:
            push_subscriptions.remove(ctx.db, ctx.tenant.id, digest)
        ctx.db.commit()
        return _best(list(heard.values()))

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """As if it had never been sent, because another one replaces it."""
        return []


def _best(outcomes: list[Outcome]) -> Outcome:
    for kind in (Accepted, Later, Unclear):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                return outcome
    return outcomes[0] if outcomes else Refused("no-browser", "recipient-unavailable")


def _push(ctx: Context, outgoing: Outgoing) -> Push:
    draft = outgoing.draft
    shown = {
        "title": draft.subject or ctx.tenant.name,
        "body": draft.text[:_MOST_TEXT],
        "lang": draft.language,
        "url": draft.link,
        "tag": topic(draft),
    }
    until = _LONGEST_S
    if draft.expires_at is not None:
        until = int((draft.expires_at - outgoing.since).total_seconds())
    seconds = max(60, min(until, _LONGEST_S))
    return Push(msgspec.json.encode(shown), seconds, topic(draft), "high" if draft.kind == _URGENT else "normal")


def topic(draft: Draft) -> str:
    """What a later push replaces: the news of a ticket replace one another, others only themselves."""
    about = f"ticket:{draft.about}" if draft.kind.startswith("ticket-") else draft.occasion
    return urlsafe_b64encode(sha256(about.encode()).digest()[:18]).decode()


def _subject() -> str:
    return settings.vapid_subject or f"mailto:{settings.mail_from}"


PROVIDER = WebPush()
