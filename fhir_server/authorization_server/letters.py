"""The letters that are sent to people, in their language: subject and text. They name the clinic, never a patient."""

from fhir_server.authorization_server.rendering import translate
from fhir_server.core.context import Tenant
from fhir_server.security import mailing
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

_NOT_YOU = "If this was not you, change your password now and tell your clinic."


def send_code(db: Session, tenant: Tenant, to: str, language: str, code: str) -> None:
    """Queue a six-digit code; with an empty address a letter that nobody gets. The caller commits."""
    subject = translate(language, "Your code for %(clinic)s", clinic=tenant.name)
    body = [
        translate(language, "Your code is: %(code)s", code=code),
        translate(language, "It is good for 10 minutes. Give it to nobody: we never ask for it by telephone or mail."),
        translate(language, "If you did not ask for a code, you can ignore this mail."),
    ]
    db.run([mailing.queue(db, tenant.id, to, subject, "\n\n".join(body) + "\n")])


def send_notice(db: Session, tenant: Tenant, account: Account, language: str, message: str) -> None:
    """Queue the news that something about the account's safety changed (`message`: a message id). The caller
    commits."""
    subject = translate(language, "Your account at %(clinic)s was changed", clinic=tenant.name)
    body = [translate(language, message), translate(language, _NOT_YOU)]
    db.run([mailing.queue(db, tenant.id, account.email, subject, "\n\n".join(body) + "\n")])
