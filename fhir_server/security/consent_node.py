"""The patients' consents as a condition of a statement."""

import time
from dataclasses import dataclass
from typing import ClassVar

from fhir_server.core.context import Principal
from fhir_server.core.keys import patient_key
from fhir_server.security.consent_filter import sql
from fhir_server.security.roles import roles
from fhir_server.storage.writer import Writer


def subject_to_consent(principal: Principal) -> bool:
    """Whether consents bind the caller: not the platform's operator, the server's own work, or patients themselves."""
    if principal.scopes.operator or (principal.token_hash is None and principal.user is None):
        return False
    return principal.user is None or principal.user.role != "patient"


@dataclass(frozen=True, slots=True)
class Consented:
    """No consent of a patient in whose record the row is denies it to this caller, or break-glass opened the record."""

    who: Principal
    rank: ClassVar[int | None] = None
    once: ClassVar[bool] = False

    def where(self, w: Writer, row: str) -> str:
        return sql(w, row, actors=actors(self.who), purposes=(self.who.purpose,), opened=opened_keys(self.who))

    def rows(self, w: Writer) -> str:
        raise TypeError("consents do not drive")


def opened_keys(who: Principal) -> tuple[int, ...]:
    """`core.keys.patient_key` of the patients whose record the caller opened by break-glass and that are still open."""
    now = time.time()
    return tuple([patient_key(patient) for patient, until in who.opened if until > now])


def actors(who: Principal) -> tuple[str, ...]:
    """As what a consent can name the caller."""
    found = [f"client:{who.client_id}"]
    if who.user is not None:
        found.append(f"role:{who.user.role}")
        if who.user.fhir_user:
            found.append(who.user.fhir_user)
    return tuple(found)


def role_may(who: Principal, right: str) -> bool:
    """Whether the caller's role has a right that is not about resources (profiles/security/roles.json, `may`)."""
    role = roles().get(who.user.role) if who.user else None
    return role is not None and right in role.may
