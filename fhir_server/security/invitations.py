"""The letter with which somebody chooses the first password of an account, or a new one."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.core.context import Tenant
from fhir_server.security import codes, mailing
from fhir_server.settings import settings
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

_TEXTS = Path(__file__).resolve().parents[2] / "profiles" / "security" / "invitation.json"


def languages() -> tuple[str, ...]:
    """The languages in which there is such a letter, the usual one first."""
    return tuple(_texts())


def send(db: Session, tenant: Tenant, account: Account) -> str:
    """Queue the letter to the account's address, in the person's language; gives the link in it, which works once and
    for 7 days in place of every earlier one. The caller commits."""
    token = codes.invite(db, tenant.id, account.id)
    link = f"{settings.fhir_base(tenant.slug).removesuffix('fhir')}oauth/invitation?token={token}"
    known = languages()
    language = next((each for each in (account.language, tenant.language) if each in known), known[0])
    text = _texts()[language]
    subject = text["subject"].replace("{clinic}", tenant.name)
    # The link last: a clinic's name that holds the mark gets nobody's link into its place.
    body = text["body"].replace("{link}", "\0").replace("{clinic}", tenant.name).replace("\0", link)
    db.run([mailing.queue(db, tenant.id, account.email, subject, body)])
    return link


@lru_cache(maxsize=1)
def _texts() -> Any:
    return json.loads(_TEXTS.read_text(encoding="utf-8"))
