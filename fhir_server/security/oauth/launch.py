"""EHR launch: the opaque `launch` value that ties an app to what its user has open, and the launch context.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch
A value is good once, for five minutes, for one user and one app of one tenant. Only its SHA-256 is stored.
"""

import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import Invalid
from fhir_server.security import audit
from fhir_server.security.oauth.clients import Client
from fhir_server.settings import settings
from fhir_server.storage import oauth_launches
from fhir_server.storage.oauth_launches import Launch
from fhir_server.storage.session import Session

SECONDS = 300
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_REFERENCE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}\Z")
# Roles that SMART itself defines; every other role is an absolute URI.
_ROLES = frozenset({"launch", "serviceRequest", "task"})


def create(db: Session, tenant_id: int, *, client_id: str, user_id: str, context: Mapping[str, Any]) -> str:
    """Make a launch and give its value; the caller commits. `context`: as `launch_context` makes it."""
    value = secrets.token_urlsafe(32)
    launch = Launch(client_id, user_id, context)
    detail = {"patient": context.get("patient")}
    event = audit.note(db, tenant_id, "launch", agent=f"user:{user_id}", client_id=client_id, detail=detail)
    db.run([oauth_launches.save(tenant_id, _digest(value), launch, SECONDS), event])
    return value


def find(db: Session, tenant_id: int, value: str) -> Launch | None:
    """What a launch value stands for while it is good; it stays good."""
    return oauth_launches.find(db, tenant_id, _digest(value))


def use(db: Session, tenant_id: int, value: str, *, client_id: str, user_id: str) -> Launch | None:
    """Use a launch value up, in the caller's transaction; None when it is not good for this app and user."""
    return oauth_launches.use(db, tenant_id, _digest(value), client_id, user_id)


def launch_context(
    patient: str,
    encounter: str | None = None,
    *,
    intent: str | None = None,
    fhir_context: Sequence[Mapping[str, Any]] = (),
    banner: bool = True,
) -> dict[str, Any]:
    """The launch context of ids and an intent. `banner`: whether the app must show whose record it is.

    Raises `Invalid` for what is no id, and for a fhirContext that SMART does not allow.
    """
    for name, value in (("patient", patient), ("encounter", encounter)):
        if value is not None and not _ID.match(value):
            raise Invalid(f"The {name} of a launch must be an id.", expression=f"http.{name}", code="value")
    if intent is not None and not (intent.isprintable() and 0 < len(intent) <= 200):
        raise Invalid("The intent of a launch must be at most 200 printable characters.", expression="http.intent")
    for each in fhir_context:
        _check_fhir_context(each)
    found: dict[str, Any] = {"patient": patient, "need_patient_banner": banner}
    if encounter is not None:
        found["encounter"] = encounter
    if intent is not None:
        found["intent"] = intent
    if fhir_context:
        found["fhirContext"] = [dict(each) for each in fhir_context]
    return found


def _check_fhir_context(given: Mapping[str, Any]) -> None:
    """https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#fhircontext"""
    reference, canonical, identifier = (given.get(name) for name in ("reference", "canonical", "identifier"))
    role, types = given.get("role"), base_registry().type_ids
    kind = _REFERENCE.match(reference) if isinstance(reference, str) else None
    known = kind is not None and kind["type"] in types
    known = known or (isinstance(canonical, str) and canonical.startswith(("http://", "https://")))
    known = known or (isinstance(identifier, dict) and bool(identifier))
    if not known or (reference is not None and kind is None) or given.get("type", "Patient") not in types:
        raise Invalid("fhirContext needs a relative reference, a canonical or an identifier.", code="value")
    if role is not None and not (isinstance(role, str) and (role in _ROLES or urlsplit(role).scheme)):
        raise Invalid("A role in fhirContext is an absolute URI or defined by SMART.", code="value")
    if kind is not None and kind["type"] in ("Patient", "Encounter") and role in (None, "launch"):
        raise Invalid("The launch's patient and encounter do not stand in fhirContext.", code="value")


def app_url(client: Client, fhir_base: str, value: str) -> str | None:
    """The app's launch URL with `iss` and `launch`; None when the app registered none."""
    if not client.launch_uri:
        return None
    joint = "&" if "?" in client.launch_uri else "?"
    return f"{client.launch_uri}{joint}iss={quote(fhir_base, safe='')}&launch={value}"


def organisation(tenant_id: int) -> str:
    """The opaque, lasting `tenant` of the launch context."""
    return hmac.digest(settings.secret_key(), f"launch tenant|{tenant_id}".encode(), "sha256").hex()[:32]


def _digest(value: str) -> bytes:
    return sha256(value.encode()).digest()
