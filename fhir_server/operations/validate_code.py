"""ValueSet/$validate-code and CodeSystem/$validate-code.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html, https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Unprocessable
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import asked_end, goes_with, instance, languages
from fhir_server.operations.expand import value_set_of
from fhir_server.terminology.absent import NotLocal
from fhir_server.terminology.definitions import Definitions, Versions
from fhir_server.terminology.resources import Held
from fhir_server.terminology.validate_code import Question, Verdict, any_of, in_code_system, in_value_set


def value_set_validate_code(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Whether a code, Coding or CodeableConcept is in a value set."""
    questions = _questions(call, call.parameters.get("system"), "systemVersion")
    for name in ("system", "systemVersion"):
        goes_with(call, name, "code")
    # Where the value set says no version, the coding's is meant.
    meant = {question.system: question.version for question in questions if question.system and question.version}
    here = of_caller(ctx, versions=Versions(default=meant), end=asked_end(call))
    if call.parameters.get("inferSystem") is False and any(question.system is None for question in questions):
        raise Invalid("Name the code's system, or let it be inferred.", expression="http.system", code="required")
    value_set = value_set_of(ctx, call, here)
    return _answer(questions, lambda question: in_value_set(here, value_set, question))


def code_system_validate_code(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Whether a code, Coding or CodeableConcept is in a code system."""
    system, here = _code_system(ctx, call)
    questions = _questions(call, system, "version")
    goes_with(call, "version", "code")
    if system is None and any(question.system is None for question in questions):
        raise Invalid("Name the code system: url, codeSystem or coding.system.", expression="http.url", code="required")

    def ask(question: Question) -> Verdict:
        if system is not None and question.system not in (None, system):
            return Verdict.wrong(question, f"The coding is not of the code system {system}.", "system")
        return in_code_system(here, question, system)

    return _answer(questions, ask)


def _code_system(ctx: Context, call: OperationCall) -> tuple[str | None, Definitions]:
    given, url = call.parameters.get("codeSystem"), call.parameters.get("url")
    if len([source for source in (call.id, given, url) if source is not None]) > 1:
        raise Invalid("Name one code system: by the URL's id, by url, or as codeSystem.", expression="http.url")
    end = asked_end(call)
    if call.id is None and given is None:
        return None if url is None else str(url), of_caller(ctx, end=end)
    held = instance(ctx, "CodeSystem", call.id) if call.id is not None else Held(dict(given or {}), None)
    if held.resource.get("content") == "supplement":
        raise Unprocessable("A supplement has no codes of its own: ask the code system that it supplements.")
    return held.resource.get("url", ""), of_caller(ctx, [held], end=end)


def _questions(call: OperationCall, system: str | None, version: str) -> Sequence[Question]:
    asked = call.parameters
    given = [name for name in ("code", "coding", "codeableConcept") if name in asked]
    if len(given) != 1:
        raise Invalid("Give one of code, coding and codeableConcept.", expression="http.code", code="required")
    goes_with(call, "display", "code")
    abstract, wanted = asked.get("abstract", True), languages(call)
    if given == ["code"]:
        return [Question(system, asked["code"], asked.get("display"), asked.get(version), abstract, wanted, "")]
    if given == ["coding"]:
        codings = [("Coding", asked["coding"])]
    else:
        listed = asked["codeableConcept"].get("coding", [])
        codings = [(f"CodeableConcept.coding[{place}]", coding) for place, coding in enumerate(listed)]
    return [
        Question(c.get("system"), c["code"], c.get("display"), c.get("version"), abstract, wanted, at)
        for at, c in codings
        if "code" in c
    ]


def _answer(questions: Sequence[Question], ask: Callable[[Question], Verdict]) -> dict[str, Any]:
    verdicts: list[Verdict] = []
    unanswered: NotLocal | None = None
    for question in questions:
        try:
            verdicts.append(ask(question))
            if verdicts[-1].result:
                return verdicts[-1].parameters()
        except NotLocal as error:
            unanswered = error
    verdict = any_of(verdicts)
    if unanswered is not None and not verdict.result:
        raise unanswered
    return verdict.parameters()
