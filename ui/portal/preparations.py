"""What is asked of the patient before the visits to come: questionnaires without completed answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ui import fhir, formats
from ui.fhir import Refused, Resource
from ui.portal import whose
from ui.portal.visits import Visit

RESPONSE_APPOINTMENT = "urn:salam:StructureDefinition:response-appointment"
_DONE = ("completed", "amended")


@dataclass(frozen=True, slots=True)
class Asked:
    """A questionnaire for a visit. `begun`: there is a draft of the answers."""

    visit: Visit
    questionnaire: Resource
    begun: bool

    @property
    def title(self) -> str:
        """What the questionnaire is called."""
        return str(self.questionnaire.get("title") or self.questionnaire.get("name") or "")


def missing(visits: Sequence[Visit]) -> list[Asked]:
    """The questionnaires that are still to be answered, in the order of the visits."""
    wanted = [(visit, name) for visit in visits if visit.status in ("proposed", "pending", "booked")
              for name in visit.questionnaires]  # fmt: skip
    if not wanted:
        return []
    known = _questionnaires(name for _, name in wanted)
    given = responses()
    found = []
    for visit, name in wanted:
        questionnaire = known.get(name)
        if questionnaire is None:
            continue
        mine = [each for each in given if _answers(each, questionnaire) and _is_for(each, visit)]
        if not any(each.get("status") in _DONE for each in mine):
            found.append(Asked(visit, questionnaire, any(each.get("status") == "in-progress" for each in mine)))
    return found


def responses(status: str | None = None) -> list[Resource]:
    """The open patient's answers to questionnaires, the newest first; at most 100."""
    given: dict[str, Any] = {"subject": whose.patient(), "_sort": "-_lastUpdated", "_count": 100}
    return fhir.search("QuestionnaireResponse", {**given, "status": status}).resources


def draft(questionnaire: Resource, appointment: str | None) -> Resource | None:
    """The newest answers that were begun and not sent. `appointment`: id of the visit they are for."""
    wanted = f"Appointment/{appointment}" if appointment else ""
    for each in responses("in-progress"):
        if _answers(each, questionnaire) and _appointment(each) == wanted:
            return each
    return None


def _questionnaires(names: Iterable[str]) -> dict[str, Resource]:
    """Questionnaires by the name that a service uses for them: `Questionnaire/id`, or the canonical url."""
    found: dict[str, Resource] = {}
    for name in dict.fromkeys(names):
        try:
            if "Questionnaire/" in name and not name.startswith(("http://", "https://", "urn:")):
                found[name] = fhir.read(name)
            else:
                url, _, version = name.partition("|")
                matches = fhir.search("Questionnaire", {"url": url, "version": version or None, "_count": 1}).resources
                found.update((name, each) for each in matches)
        except Refused:
            continue
    return found


def canonical(questionnaire: Resource) -> str:
    """How answers name the questionnaire."""
    return str(questionnaire.get("url") or f"Questionnaire/{questionnaire['id']}")


def _answers(response: Resource, questionnaire: Resource) -> bool:
    named = str(response.get("questionnaire", "")).partition("|")[0]
    return named in (questionnaire.get("url"), f"Questionnaire/{questionnaire['id']}")


def _appointment(response: Resource) -> str:
    return str(formats.extension(response, RESPONSE_APPOINTMENT).get("valueReference", {}).get("reference", ""))


def _is_for(response: Resource, visit: Visit) -> bool:
    named = [str(each.get("reference", "")) for each in visit.resource.get("supportingInformation", ())]
    return _appointment(response) == f"Appointment/{visit.id}" or f"QuestionnaireResponse/{response['id']}" in named
