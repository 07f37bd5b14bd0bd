"""SMS and WhatsApp by Twilio's REST API.

Twilio takes no key that would make a request safe to repeat. A message of which nobody knows whether it arrived there
is looked for among those to the number since then, by its text; found, it counts as sent.
https://www.twilio.com/docs/messaging/api/message-resource
"""

import json
import logging
from datetime import timedelta
from typing import Any

from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

from fhir_server.core.context import Context
from fhir_server.features.notifications.provider import Accepted, Found, Later, Outcome, Outgoing, Unclear
from fhir_server.settings import settings
from integrations.messaging.twilio.errors import meaning

_SECONDS = 15.0
# Clocks differ; a message of the minute before is looked at too.
_BEFORE = timedelta(minutes=1)
_MOST = 50
# The library logs numbers and texts, and the one below it URLs with numbers; nobody gets to see them.
_silent = logging.getLogger("salam.twilio")
_silent.setLevel(logging.CRITICAL)
logging.getLogger("urllib3").setLevel(logging.INFO)


class Twilio:
    """The account in the settings."""

    name = "twilio"
    sandbox = False

    def send(self, ctx: Context, outgoing: Outgoing) -> Outcome:
        """Hand a message over. A code of Twilio's is the `error` of what it refuses."""
        try:
            made = self._client().messages.create(**self._message(outgoing))
        except TwilioRestException as error:
            if error.status >= 500:
                return Unclear(f"http-{error.status}")
            return meaning(error.code, error.status)
        except (RequestException, TwilioException, ValueError) as error:
            return _unanswered(error)
        return Accepted(str(made.sid))

    def find(self, ctx: Context, outgoing: Outgoing) -> Found:
        """The messages to the number since then that have the same text (or, by template, the same sender)."""
        wanted = self._message(outgoing)
        try:
            # Newest first. Not by the date of sending, which one that still waits there does not have.
            found = self._client().messages.list(to=wanted["to"], limit=_MOST, page_size=_MOST)
        except (RequestException, TwilioException, ValueError) as error:
            return Unclear("lookup", away=isinstance(error, RequestException))
        since = outgoing.since - _BEFORE
        return [
            Accepted(str(each.sid))
            for each in found
            if each.date_created and each.date_created >= since and _same(each.body, wanted)
        ]

    def _client(self) -> Client:
        http = TwilioHttpClient(timeout=_SECONDS, logger=_silent, max_retries=0)
        return Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=http)

    def _message(self, outgoing: Outgoing) -> dict[str, Any]:
        draft = outgoing.draft
        by_whatsapp = draft.channel == "whatsapp"
        to, sender = draft.address, settings.twilio_whatsapp_from if by_whatsapp else settings.twilio_from
        fields: dict[str, Any] = {"to": f"whatsapp:{to}" if by_whatsapp else to}
        if sender.startswith("MG"):
            fields["messaging_service_sid"] = sender
        else:
            fields["from_"] = f"whatsapp:{sender.removeprefix('whatsapp:')}" if by_whatsapp else sender
        if by_whatsapp and draft.approved:
            fields["content_sid"] = draft.approved
            fields["content_variables"] = json.dumps(dict(draft.values), ensure_ascii=False)
        else:
            fields["body"] = draft.text
        if outgoing.callback:
            fields["status_callback"] = outgoing.callback
        return fields


def _same(body: str | None, wanted: dict[str, Any]) -> bool:
    # Of a template Twilio shows the text that it made; ours is not known to it.
    return "content_sid" in wanted or (body or "").strip() == str(wanted["body"]).strip()


def _unanswered(error: Exception) -> Outcome:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, ConnectTimeout) or (
        isinstance(error, ConnectionFailed) and isinstance(reason, NewConnectionError)
    ):
        # There was no connection, so nothing was sent.
        return Later("unreachable", away=True)
    return Unclear(type(error).__name__, away=isinstance(error, RequestException))


PROVIDER = Twilio()
