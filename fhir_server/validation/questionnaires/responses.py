"""A QuestionnaireResponse against the Questionnaire that it names, where that is here.

https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.validation.questionnaires import answers
from fhir_server.validation.questionnaires.advice import advice
from fhir_server.validation.questionnaires.constraints import broken, placed
from fhir_server.validation.questionnaires.expressions import Expressions
from fhir_server.validation.questionnaires.reference_profiles import misfits
from fhir_server.validation.scope import Scope

_MOST_WARNINGS = 10
_COMPLETE = frozenset({"completed", "amended"})


def issues(scope: Scope, response: dict[str, Any]) -> list[Issue]:
    """What is wrong with the answers; [] when the Questionnaire is not known here. It is looked for among the contained
    resources, the tenant's definitions (by canonical url, with version) and what the reference points to."""
    questionnaire = _questionnaire(scope, response)
    if questionnaire is None:
        return []
    complete = response.get("status") in _COMPLETE
    expressions = Expressions(scope.registry, questionnaire, response)
    found = answers.check(
        questionnaire, response, complete=complete, member=_member(scope, questionnaire),
        applies=lambda definition: expressions.applies(definition, None),
    )  # fmt: skip
    items = list(placed(questionnaire, response))
    found += misfits(scope, questionnaire.get("title") or questionnaire.get("name") or "the form", response, items)
    if complete:
        found += broken(scope.registry, questionnaire, response)
        found += islice(advice(expressions, items), _MOST_WARNINGS)
    return [*found, *islice(answers.out_of_order(questionnaire, response), _MOST_WARNINGS)]


def _questionnaire(scope: Scope, response: Mapping[str, Any]) -> dict[str, Any] | None:
    canonical = response.get("questionnaire")
    if canonical is None:
        return None
    found = contained(response, canonical) if canonical.startswith("#") else None
    found = found or scope.definitions.find("Questionnaire", canonical) or scope.resolve(canonical.partition("|")[0])
    return found if found is not None and found.get("resourceType") == "Questionnaire" else None


def contained(resource: Mapping[str, Any], reference: str) -> dict[str, Any] | None:
    """The contained resource of `#id`."""
    return next((each for each in resource.get("contained", ()) if each.get("id") == reference[1:]), None)


def _member(scope: Scope, questionnaire: Mapping[str, Any]) -> Callable[[str, Mapping[str, Any]], bool | None]:
    def member(value_set: str, coding: Mapping[str, Any]) -> bool | None:
        code = coding.get("code")
        if code is None:
            return None
        if value_set.startswith("#"):
            return _listed(contained(questionnaire, value_set), coding)
        return scope.membership.check(value_set, coding.get("system"), code)

    return member


def _listed(value_set: Mapping[str, Any] | None, coding: Mapping[str, Any]) -> bool | None:
    """Whether a contained value set that only lists codes has this one; None for any other."""
    compose = (value_set or {}).get("compose", {})
    includes = compose.get("include", ())
    if not includes or "exclude" in compose or not all(each.keys() <= {"system", "concept"} for each in includes):
        return None
    if not all("concept" in each and "system" in each for each in includes):
        return None
    wanted = coding.get("system"), coding.get("code")
    return any((each["system"], concept["code"]) == wanted for each in includes for concept in each["concept"])
