"""Consents as a condition on rows, and as a judgement on versions in hand. What is hidden is as missing.

`actors`: the names under which a consent can mean who asks: `Practitioner/1`, `RelatedPerson/1`, `role:nurse`,
`client:<id>`; the roles and organizations of a practitioner are looked up (PractitionerRole). `purposes`: codes of
v3-PurposeOfUse of the request. `opened`: `core.keys.patient_key` of the patients whose record the user opened by
break-glass, whose consents do not count. The semantics are those of docs/howto/consent.md.
"""

from collections.abc import Sequence

from fhir_server.storage import consent_rules
from fhir_server.storage.consent_rules import Row
from fhir_server.storage.session import Session
from fhir_server.storage.writer import Writer


def sql(
    w: Writer, row: str, *, actors: Sequence[str], purposes: Sequence[str], opened: Sequence[int] = ()
) -> str:
    """The condition, true when no consent hides the `resource` row of that alias from who asks."""
    return consent_rules.visible(w, row, actors, purposes, opened)


def denied(
    db: Session,
    tenant_id: int,
    rows: Sequence[Row],
    *,
    actors: Sequence[str],
    purposes: Sequence[str],
    opened: Sequence[int] = (),
) -> list[bool]:
    """Whether consents, as they are now, hide these versions (old ones, say), in one statement and in their order."""
    return consent_rules.hidden(db, tenant_id, rows, actors, purposes, opened)
