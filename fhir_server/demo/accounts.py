"""One account for each role of people in the demo tenant, so that every page can be tried at once.

Addresses are fixed; passwords are random words of the data folder: they follow from its key, so a second run prints the
same ones, and no two installations share them.
"""

import hmac
from typing import Any

from fhir_server.demo.site import DEVICES, DOCTORS, STAFF
from fhir_server.security import accounts
from fhir_server.security.roles import roles
from fhir_server.settings import settings
from fhir_server.storage import accounts as account_rows
from fhir_server.storage.session import Session

_SYLLABLES = [consonant + vowel for vowel in "ao" for consonant in "bdfgjklmnprstvwz"]
# A service account is an OAuth client, not a person.
_NOT_PEOPLE = ("service", "guest")


def demo_accounts(db: Session, tenant_id: int, patient_id: str | None) -> list[dict[str, str]]:
    """Make what is missing and give `role`, `email` and `password` of each account. The caller has entered the tenant
    and commits. `patient_id`: whose record the patient and the family proxy open; None leaves these two out."""
    found = []
    for role, known in roles().items():
        if role in _NOT_PEOPLE or (known.personal and patient_id is None):
            continue
        email = f"{role}@demo.example"
        password = _password(role)
        if account_rows.by_email(db, tenant_id, email) is None:
            accounts.create(
                db, tenant_id, email=email, role=role, password=password, name=known.titles.get("fr", role),
                **_links(role, patient_id),
            )  # fmt: skip
        found.append({"role": role, "email": email, "password": password})
    return found


def _links(role: str, patient_id: str | None) -> dict[str, Any]:
    if role == "patient":
        return {"fhir_user": f"Patient/{patient_id}"}
    if role == "proxy":
        return {"patients": (patient_id,)}
    if role == "practitioner":
        return {"fhir_user": DOCTORS[0].reference}
    if role in DEVICES:
        return {"fhir_user": f"Device/demo-{role}"}
    return {"fhir_user": f"Practitioner/demo-{role}"} if role in STAFF else {}


def _password(role: str) -> str:
    mac = hmac.digest(settings.secret_key(), f"demo account|{role}".encode(), "sha256")
    # 5 bits a syllable: 60 bits.
    words = ["".join(_SYLLABLES[byte % 32] for byte in mac[start : start + 3]) for start in (0, 3, 6, 9)]
    return "-".join(words)
