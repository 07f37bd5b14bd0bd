"""ValueSet/$validate-code and CodeSystem/$validate-code.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html, https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import definitions, finder, refuse
from fhir_server.operations.expand import value_set_of
from fhir_server.terminology.definitions import Definitions, NotLocal
from fhir_server.terminology.validate_code import Question, Verdict, any_of, in_code_system, in_value_set

_REFUSED: Mapping[str, str] = {
    "context": "name the value set by url.",
    "date": "definitions are held in one version, the present one.",
}


def value_set_validate_code(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Whether a code, Coding or CodeableConcept is in a value set."""
    refuse(call, _REFUSED)
    here = definitions(ctx)
    questions = _questions(call, call.parameters.get("system"), "systemVersion")
    value_set = value_set_of(ctx, call, here)
    for question in questions:
        if question.version and question.system:
            here.table(f"{question.system}|{question.version}")
    return _answer(call, questions, lambda question: in_value_set(here, value_set, question))


def code_system_validate_code(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Whether a code, Coding or CodeableConcept is in a code system."""
    refuse(call, _REFUSED)
    system, here = _code_system(ctx, call)
    questions = _questions(call, system, "version")
    if system is None and any(question.system is None for question in questions):
        raise Invalid("Name the code system: url, codeSystem or coding.system.", expression="http.url", code="required")

    def ask(question: Question) -> Verdict:
        if system is not None and question.system != system:
            return Verdict(False, f"The coding is not of the code system {system}.")
        return in_code_system(here, question)

    return _answer(call, questions, ask)


def _code_system(ctx: Context, call: OperationCall) -> tuple[str | None, Definitions]:
    given = call.parameters.get("codeSystem")
    if call.id is not None:
        given = decode(read(ctx, "CodeSystem", call.id).body)
    if given is None:
        return call.parameters.get("url"), definitions(ctx)
    url, stored = given.get("url", ""), finder(ctx, "CodeSystem")
    here = Definitions(ctx.registry, lambda asked: given if asked == url else stored(asked), finder(ctx, "ValueSet"))
    return url, here


def _questions(call: OperationCall, system: str | None, version: str) -> Sequence[Question]:
    asked = call.parameters
    given = [name for name in ("code", "coding", "codeableConcept") if name in asked]
    if len(given) != 1:
        raise Invalid("Give one of code, coding and codeableConcept.", expression="http.code", code="required")
    abstract, language = asked.get("abstract", True), asked.get("displayLanguage")
    if given == ["code"]:
        return [Question(system, asked["code"], asked.get("display"), asked.get(version), abstract, language)]
    codings = [asked["coding"]] if given == ["coding"] else asked["codeableConcept"].get("coding", [])
    return [
        Question(c.get("system"), c["code"], c.get("display"), c.get("version"), abstract, language)
        for c in codings
        if "code" in c
    ]


def _answer(call: OperationCall, questions: Sequence[Question], ask: Callable[[Question], Verdict]) -> dict[str, Any]:
    verdicts: list[Verdict] = []
    unanswered: NotLocal | None = None
    for question in questions:
        try:
            verdicts.append(ask(question))
        except NotLocal as error:
            unanswered = error
    verdict = any_of(verdicts)
    if unanswered is not None and not verdict.result:
        raise unanswered
    return verdict.parameters()
