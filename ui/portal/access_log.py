"""Who looked at the record, from the audit log: what many events tell, said once for each person and day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ui import fhir, formats, page
from ui.fhir import Refused, Resource
from ui.texts import say

_EMERGENCY = frozenset({"BTG", "ETREAT"})
_TYPES = "http://hl7.org/fhir/resource-types"


@dataclass(slots=True)
class Look:
    """What somebody saw on a day. `at`: the last time; `count`: how often; `kinds`: of what, in words."""

    who: str
    why: str
    at: str
    emergency: bool
    count: int = 0
    kinds: list[str] = field(default_factory=list)


def looks(events: Sequence[Resource]) -> list[Look]:
    """The events of others, by day, person and purpose, in their order."""
    me = page.me().user
    agents = [(event, _agent(event)) for event in events]
    others = [(event, agent) for event, agent in agents if not _is(agent, me.id, me.fhir_user)]
    names = _names(str(agent.get("who", {}).get("reference", "")) for _, agent in others)
    found: dict[tuple[str, str, str], Look] = {}
    for event, agent in others:
        codes = [str(each.get("code")) for purpose in event.get("purposeOfEvent", ())
                 for each in purpose.get("coding", ())]  # fmt: skip
        who = names.get(str(agent.get("who", {}).get("reference", ""))) or str(agent.get("name", ""))
        why = _why(codes[0] if codes else "")
        day = str(formats.moment_of(event["recorded"]).date())
        shown = Look(who or say("A program of the clinic"), why, event["recorded"], bool(_EMERGENCY & set(codes)))
        look = found.setdefault((day, who, why), shown)
        look.count += 1
        look.kinds += [kind for kind in _kinds(event) if kind not in look.kinds]
    return list(found.values())


def _agent(event: Resource) -> Mapping[str, Any]:
    agents = event.get("agent", ())
    return next((each for each in agents if each.get("requestor")), next(iter(agents), {}))


def _is(agent: Mapping[str, Any], user_id: str, fhir_user: str | None) -> bool:
    who = agent.get("who", {})
    same_account = who.get("identifier", {}).get("value") == user_id
    return same_account or (fhir_user is not None and who.get("reference") == fhir_user)


def _names(references: Any) -> dict[str, str]:
    """The names of professionals by `Practitioner/id`."""
    ids = dict.fromkeys(each.partition("/")[2] for each in references if each.startswith("Practitioner/"))
    if not ids:
        return {}
    try:
        found = fhir.search("Practitioner", {"_id": ",".join(list(ids)[:100]), "_elements": "name", "_count": 100})
    except Refused:
        return {}
    return {f"Practitioner/{each['id']}": formats.person(each.get("name")) for each in found.resources}


def _kinds(event: Resource) -> list[str]:
    codes = [each.get("type", {}).get("code") for each in event.get("entity", ())
             if each.get("type", {}).get("system") == _TYPES]  # fmt: skip
    return list(dict.fromkeys(filter(None, (_kind(str(code)) for code in codes))))


def _kind(code: str) -> str:
    return {
        "Appointment": say("appointments"), "Observation": say("results"), "DiagnosticReport": say("results"),
        "Condition": say("diagnoses"), "MedicationRequest": say("prescriptions"), "Encounter": say("visits"),
        "AllergyIntolerance": say("allergies"), "Immunization": say("vaccinations"), "Task": say("tickets"),
        "DocumentReference": say("documents"), "Binary": say("documents"), "Invoice": say("payments"),
        "QuestionnaireResponse": say("answers"), "Consent": say("consents"), "Communication": say("messages"),
    }.get(code, "")  # fmt: skip


def _why(code: str) -> str:
    return {
        "TREAT": say("for your treatment"), "ETREAT": say("in an emergency"), "BTG": say("in an emergency"),
        "HOPERAT": say("for the work of the clinic"), "HPAYMT": say("for payment"), "PATRQT": say("at your request"),
    }.get(code, "")  # fmt: skip
