"""From Consent resources to rules: what a patient denies to whom. The semantics stand in docs/howto/consent.md.

A consent can only take away from what scopes and roles give. https://hl7.org/fhir/R4/consent.html
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, Unprocessable
from fhir_server.core.keys import patient_key
from fhir_server.core.references import parse_literal
from fhir_server.core.resource_json import decode
from fhir_server.security import audit
from fhir_server.security.consent_conditions import Reader, concerns_reading, conditions
from fhir_server.storage import consent_rules
from fhir_server.storage.consent_rules import ConsentRule
from fhir_server.storage.session import Session
from fhir_server.storage.versions import NewVersion

_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
# Policies that say what holds where the root provision has no type (R4 has none there).
_POLICIES = {"OPTIN": "permit", "OPTINR": "permit", "OPTOUT": "deny", "OPTOUTE": "deny"}
MOST_RULES = 200
MOST_DEPTH = 10


def concerns(ctx: Context, news: Sequence[NewVersion]) -> bool:
    """Whether any of the versions is a consent, so that `changed` must follow in the same transaction."""
    type_id = ctx.registry.type_ids["Consent"]
    return any(new.type_id == type_id for new in news)


def changed(ctx: Context, news: Sequence[NewVersion]) -> None:
    """Make the rules those of the consents just written; a deleted or inactive one has none. Does not commit.

    Raises `Unprocessable` (and so undoes the write) when an active consent cannot be enforced exactly.
    """
    type_id = ctx.registry.type_ids["Consent"]
    reader = Reader(ctx.registry, ctx.base, ZoneInfo(ctx.tenant.zone))
    written = [new for new in news if new.type_id == type_id]
    rules = {new.rid: [] if new.deleted else rules_of(decode(new.body), reader) for new in written}
    before = [decode(new.old.body) for new in written if new.old is not None and new.old.body]
    consent_rules.replace(ctx.db, ctx.tenant.id, rules, [key for each in before for key in _subject(each)])
    who = ctx.principal
    event = audit.note(
        ctx.db, ctx.tenant.id, "consent-changed", agent=audit.agent_of(who), client_id=who.client_id,
        purpose=who.purpose, type_id=type_id, rids=sorted(rules),
    )  # fmt: skip
    ctx.db.run([event])


def renew(db: Session, tenant_id: int, consents: Mapping[int, Mapping[str, Any]], reader: Reader) -> None:
    """Make the rules of stored consents (by their rid) anew, for `reindex`. Does not commit.

    One that was stored before there were rules, and cannot be enforced exactly, denies everything until it is changed.
    """
    rules: dict[int, Sequence[ConsentRule]] = {}
    for rid, consent in consents.items():
        reader.issues = []
        try:
            rules[rid] = rules_of(consent, reader)
        except Unprocessable:
            spared = reader.registry.type_ids["Consent"]
            rules[rid] = [ConsentRule(patient, 0, False, spared=spared) for patient in _subject(consent)]
    if rules:
        patients = [key for consent in consents.values() for key in _subject(consent)]
        consent_rules.replace(db, tenant_id, rules, patients)


def rules_of(consent: Mapping[str, Any], reader: Reader) -> list[ConsentRule]:
    """The rules of a valid Consent; none when it is not an active one about privacy, or denies nothing.

    Raises `Unprocessable`, naming every element that cannot be enforced exactly.
    """
    if consent.get("status") != "active" or not _about_privacy(consent):
        return []
    root = consent.get("provision", {})
    base = root.get("type") or _policy(consent)
    rules: list[ConsentRule] = []
    if root or base:
        patient = _patient(consent, reader)
        _flatten({**root, "type": base or "permit"}, "Consent.provision", patient, (), rules, reader)
    if reader.issues:
        raise Unprocessable(issues=reader.issues)
    return rules if any(not rule.permit for rule in rules) else []


def _about_privacy(consent: Mapping[str, Any]) -> bool:
    codings = consent.get("scope", {}).get("coding", ())
    return any(c.get("code") == "patient-privacy" and c.get("system", _SCOPE) == _SCOPE for c in codings)


def _policy(consent: Mapping[str, Any]) -> str | None:
    for coding in consent.get("policyRule", {}).get("coding", ()):
        if coding.get("system") == _ACT_CODE and coding.get("code") in _POLICIES:
            return _POLICIES[coding["code"]]
    return None


def _patient(consent: Mapping[str, Any], reader: Reader) -> int:
    if "modifierExtension" in consent:
        reader.refuse("Consent.modifierExtension", "it is not known what it changes.")
    if "patient" not in consent:
        reader.issues.append(Issue("error", "required", "A consent needs its patient.", "Consent.patient"))
        return 0
    local = reader.local(consent["patient"], "Consent.patient", ("Patient",))
    return 0 if local is None else patient_key(local.partition("/")[2])


def _subject(consent: Mapping[str, Any]) -> list[int]:
    """`patient_key` of whom a stored consent is about, under whatever name of this server it was written."""
    literal = parse_literal(consent.get("patient", {}).get("reference", ""))
    return [patient_key(literal.id)] if literal is not None else []


def _flatten(
    provision: Mapping[str, Any],
    path: str,
    patient: int,
    above: tuple[int, ...],
    rules: list[ConsentRule],
    reader: Reader,
) -> None:
    if len(rules) >= MOST_RULES or len(above) > MOST_DEPTH:
        reader.refuse(path, f"more than {MOST_RULES} provisions, or more than {MOST_DEPTH} levels of them.")
        return
    if "type" not in provision:
        reader.issues.append(
            Issue("error", "required", "An exception needs its type: permit or deny.", f"{path}.type")
        )
        return
    # What is not about seeing data has no exceptions about it either.
    if not concerns_reading(provision, path, reader):
        return
    permit = provision["type"] == "permit"
    named = "class" in provision or "data" in provision or any(rules[n].spared is None for n in above)
    number = len(rules)
    rules.append(
        ConsentRule(
            patient,
            number,
            permit,
            parent=above[-1] if above else None,
            above=above,
            spared=None if named else reader.registry.type_ids["Consent"],
            **conditions(provision, permit, path, reader),
        )
    )
    for index, child in enumerate(provision.get("provision", ())):
        _flatten(child, f"{path}.provision[{index}]", patient, (*above, number), rules, reader)
