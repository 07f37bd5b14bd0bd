"""Consents: who may not see the record, in plain words. Only what the server enforces exactly is offered."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, formats, page
from ui.fhir import Refused, Resource
from ui.portal import whose
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
# What "medical record" means where reception still has to give appointments.
_CLINICAL = (
    "Observation", "DiagnosticReport", "Condition", "MedicationRequest", "MedicationStatement", "AllergyIntolerance",
    "Immunization", "Procedure", "DocumentReference", "ClinicalImpression", "CarePlan", "FamilyMemberHistory",
    "QuestionnaireResponse", "ImagingStudy", "Binary",
)  # fmt: skip
_MOST = 100


@bp.get("/consents")
def consents(slug: str) -> ResponseReturnValue:
    """What was decided, and what can be."""
    return _shown()


def _shown(problem: str = "", field: str = "") -> ResponseReturnValue:
    found = fhir.search("Consent", {"patient": whose.patient(), "_sort": "-date", "_count": _MOST}).resources
    names = _professionals()
    known = {each["reference"]: each["name"] for each in names}
    listed = [{"id": each["id"], "text": words_of(each, known), "at": each.get("dateTime"),
               "until": each.get("provision", {}).get("period", {}).get("end"),
               "active": each.get("status") == "active"}
              for each in found if each.get("status") in ("active", "inactive", "proposed", "rejected")]  # fmt: skip
    return shown("consents.html", listed=listed, professionals=names, may=not whose.is_proxy(),
                     problem=problem, field=field, today=page.today().isoformat())  # fmt: skip


def _professionals() -> list[dict[str, str]]:
    found = fhir.search("Practitioner", {"active": "true", "_count": 200, "_sort": "family"}).resources
    return [{"reference": f"Practitioner/{each['id']}", "name": formats.person(each.get("name"))} for each in found]


@bp.post("/consents")
def give(slug: str) -> ResponseReturnValue:
    """Decide something. `what`: `only` (the medical record for one professional only) or `not` (nothing of the record
    for one professional); `who`: Practitioner/id; `until`: the last day, if it ends."""
    what, who, until = (request.form.get(name, "") for name in ("what", "who", "until"))
    if what not in ("only", "not"):
        return _shown(say("Choose what you want to decide."), "what")
    if who not in {each["reference"] for each in _professionals()}:
        return _shown(say("Choose a professional."), "who")
    try:
        last = date.fromisoformat(until) if until else None
    except ValueError:
        return _shown(say("Enter a date."), "until")
    if last is not None and last < page.today():
        return _shown(say("Choose a day that is still to come."), "until")
    fhir.create(_consent(what, who, last))
    return page.see_other(f"/t/{slug}/ui/portal/consents?done=given")


def _consent(what: str, who: str, last: date | None) -> Resource:
    receiver = {"coding": [{"system": f"{_TERMINOLOGY}v3-ParticipationType", "code": "IRCP"}]}
    actor = [{"role": receiver, "reference": {"reference": who}}]
    rule: dict[str, Any] = {"type": "deny"}
    if last is not None:
        rule["period"] = {"end": last.isoformat()}
    if what == "only":
        rule["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": each} for each in _CLINICAL]
        rule["provision"] = [{"type": "permit", "actor": actor}]
    else:
        rule["actor"] = actor
    policy = "OPTOUT" if what == "only" else "OPTIN"
    return {
        "resourceType": "Consent", "status": "active", "patient": {"reference": whose.patient()},
        "scope": {"coding": [{"system": f"{_TERMINOLOGY}consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "dateTime": page.now().isoformat(timespec="seconds"),
        "performer": [{"reference": page.me().user.fhir_user or whose.patient()}],
        "policyRule": {"coding": [{"system": f"{_TERMINOLOGY}v3-ActCode", "code": policy}]},
        "provision": rule,
    }  # fmt: skip


@bp.post("/consents/<id_>/withdraw")
def withdraw(slug: str, id_: str) -> ResponseReturnValue:
    """End a decision; what it hid is seen again at once."""
    consent = fhir.read(f"Consent/{id_}")
    whose.check_own(consent, "patient")
    if consent.get("status") == "active":
        fhir.update({**consent, "status": "inactive"}, if_match=str(consent["meta"]["versionId"]))
    return page.see_other(f"/t/{slug}/ui/portal/consents?done=ended")


@bp.post("/consents/<id_>/renew")
def renew(slug: str, id_: str) -> ResponseReturnValue:
    """Take the end of a decision back."""
    consent = fhir.read(f"Consent/{id_}")
    whose.check_own(consent, "patient")
    try:
        fhir.update({**consent, "status": "active"}, if_match=str(consent["meta"]["versionId"]))
    except Refused as error:
        return _shown(page.sentence(error))
    return page.see_other(f"/t/{slug}/ui/portal/consents?done=given")


def words_of(consent: Resource, known: Mapping[str, str]) -> str:
    """A consent in a sentence, where it is one of those that this page makes; else what it is called."""
    rule = consent.get("provision", {})
    inner = rule.get("provision", ())
    who = _actor(rule, known)
    if rule.get("type") == "deny" and who and not inner and not rule.get("class"):
        return say("%(name)s does not see your record.", name=who)
    if rule.get("type") == "deny" and len(inner) == 1 and inner[0].get("type") == "permit" and not who:
        permitted = _actor(inner[0], known)
        if permitted:
            return say("Only %(name)s sees your medical record.", name=permitted)
    called = formats.coded(consent.get("category")) or formats.coded(consent.get("scope"))
    if rule.get("type") == "deny":
        return say("Parts of your record are hidden (%(name)s).", name=called)
    return say("You have agreed: %(name)s", name=called)


def _actor(rule: Mapping[str, Any], known: Mapping[str, str]) -> str:
    actors = rule.get("actor", ())
    if len(actors) != 1:
        return ""
    reference = actors[0].get("reference", {})
    return known.get(str(reference.get("reference", "")), str(reference.get("display", "")))
