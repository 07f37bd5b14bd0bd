"""Six-digit codes as messages, by SMS or e-mail: sealed, queued in the transaction of what they prove, sent afterwards.

A code is no news about anybody: it has no Communication, and no wish or quiet hour holds it back.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import msgspec

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.context import Context, Tenant
from fhir_server.features.notifications import channels, text_parts
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.options import options
from fhir_server.security import mailing
from fhir_server.security.codes import CODE_SECONDS
from fhir_server.security.sealing import seal
from fhir_server.storage import messages
from fhir_server.storage.session import Session

KIND = "code"
_SEALED_FOR = "message"
_LAST = "fr"
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where a code goes: `channel` is `sms` or `email`; `address` in E.164 or as an e-mail address, "" for a message
    that nobody gets (it is written so that a request about an unknown address takes as long as any other)."""

    channel: str
    address: str


def carried(tenant: Tenant, channel: str) -> bool:
    """Whether codes can be sent through a channel here."""
    return channel in options(tenant).channels and channels.provider(channel) is not None


def send(db: Session, tenant: Tenant, to: Place, language: str, code: str, now: datetime) -> None:
    """Queue a code. The caller commits."""
    texts = _texts().get(language) or _texts().get(tenant.language) or _texts()[_LAST]
    if to.channel == "email":
        subject, body = (_filled(texts[part], {"code": code, "clinic": tenant.name}) for part in ("subject", "body"))
        db.run([mailing.queue(db, tenant.id, to.address, subject, body)])
        return
    text = text_parts.shortest(_filled(texts["sms"], {"code": code, "clinic": tenant.name[:_LONGEST_NAME]}))
    draft = Draft(
        occasion=f"{KIND}:{secrets.token_hex(16)}", kind=KIND, channel="sms", recipient="", address=to.address,
        language=language, subject="", text=text, about="", about_version="", not_before=now,
        expires_at=now + timedelta(seconds=CODE_SECONDS),
    )  # fmt: skip
    kept = seal(db, tenant.id, msgspec.json.encode(draft), _SEALED_FOR)
    messages.add(
        db, tenant.id, occasion=draft.occasion, kind=KIND, channel="sms", sealed=kept, state="queued", due=now, now=now
    )


def still_wanted(ctx: Context, draft: Draft) -> Draft | None:
    """The draft if its code could still be used, and somebody gets it."""
    late = draft.expires_at is not None and draft.expires_at <= ctx.now
    return None if late or not draft.address else draft


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", " ".join(value.split()))
    return text


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = dict(own_table("code_texts"))["notifications"]
    return found
