"""References among answers, by the profiles that the extension `questionnaire-referenceProfile` demands: their types,
and of what the response contains also the content. What is stored elsewhere can change without the response.

https://hl7.org/fhir/R4/extension-questionnaire-referenceprofile.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.validation.profiles.plans import plans_of
from fhir_server.validation.profiles.references import reference_checks
from fhir_server.validation.profiles.trial import Trial
from fhir_server.validation.questionnaires.answer_values import extensions
from fhir_server.validation.scope import Scope

Json = Mapping[str, Any]

_PROFILE = "http://hl7.org/fhir/StructureDefinition/questionnaire-referenceProfile"


def misfits(scope: Scope, owner: str, response: dict[str, Any], items: Iterable[tuple[Json, Json, str]]) -> list[Issue]:
    """What is wrong with the references. `owner`: how sentences name the questionnaire. `items`: (definition, item of
    the response, its path)."""
    trial = Trial(replace(scope, resolve=lambda reference: None), plans_of(scope.registry), response)
    for definition, item, path in items:
        profiles = [each for each in extensions(definition, _PROFILE) if isinstance(each, str)]
        if not profiles:
            continue
        entry = {"code": "Reference", "targetProfile": profiles}
        for check in reference_checks(entry, (), f"item {definition['linkId']}", "questionnaire", owner):
            for index, answer in enumerate(item.get("answer", ())):
                if "valueReference" in answer:
                    place = (None, f"{path}.answer[{index}].valueReference", None)
                    check(("Reference", answer["valueReference"], None), place, trial)
    return trial.issues
