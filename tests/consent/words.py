"""Resources that the consent tests are made of."""

from typing import Any

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
LOINC = "http://loinc.org"
ROLE_SYSTEM = "urn:salam:role"
CLIENT_SYSTEM = "urn:salam:client"


def label(code: str) -> dict[str, str]:
    """A security label: a confidentiality or a sensitivity."""
    return {"system": CONFIDENTIALITY if code in ("U", "L", "M", "N", "R", "V") else ACT_CODE, "code": code}


def actor(name: str) -> dict[str, Any]:
    """An actor by the name that a request has: `Practitioner/1`, `role:nurse`, `client:app`."""
    kind, _, value = name.partition(":")
    if kind == "role":
        return {"role": {"coding": [{"system": ROLE_SYSTEM, "code": value}]}, "reference": {"display": "All of them"}}
    recipient = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
    if kind == "client":
        return {"role": recipient, "reference": {"identifier": {"system": CLIENT_SYSTEM, "value": value}}}
    return {"role": recipient, "reference": {"reference": name}}


def purpose(code: str) -> dict[str, str]:
    """A purpose of use."""
    return {"system": ACT_REASON, "code": code}


def kind(name: str) -> dict[str, str]:
    """A class of resources: a type."""
    return {"system": RESOURCE_TYPES, "code": name}


def concept(code: str) -> dict[str, Any]:
    """A LOINC code."""
    return {"coding": [{"system": LOINC, "code": code}]}


def consent(patient: str, provision: dict[str, Any] | None, status: str = "active", **more: Any) -> dict[str, Any]:
    """A Consent about privacy of `Patient/{patient}`."""
    made = {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "HIPAAConsentCD"}]},
        **more,
    }
    return made if provision is None else {**made, "provision": provision}


def observation(patient: str, code: str = "718-7", *labels: str, **more: Any) -> dict[str, Any]:
    """An Observation with a LOINC code and security labels."""
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": concept(code),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-01T10:00:00Z",
        **more,
    }
    return {**made, "meta": {"security": [label(each) for each in labels]}} if labels else made
