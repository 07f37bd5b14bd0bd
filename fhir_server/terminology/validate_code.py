"""ValueSet/$validate-code and CodeSystem/$validate-code.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html, https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.terminology.compose import contains, known, reach
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.expand import fold, in_language


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code is valid, why not, and the display that the system recommends."""

    result: bool
    message: str | None = None
    display: str | None = None

    def parameters(self) -> dict[str, Any]:
        """The operation's output."""
        out: list[dict[str, Any]] = [{"name": "result", "valueBoolean": self.result}]
        if self.message:
            out.append({"name": "message", "valueString": self.message})
        if self.display:
            out.append({"name": "display", "valueString": self.display})
        return {"resourceType": "Parameters", "parameter": out}


@dataclass(frozen=True, slots=True)
class Question:
    """One coding to check. `abstract`: whether a code that only groups others is acceptable."""

    system: str | None
    code: str
    display: str | None = None
    version: str | None = None
    abstract: bool = True
    language: str | None = None


def in_value_set(definitions: Definitions, value_set: Mapping[str, Any], question: Question) -> Verdict:
    """Whether a coding is in a value set, its display among those known. A code without a system is looked for in
    every system of the value set. Raises `NotLocal` when codes that are not on this server are needed to tell."""
    name = value_set.get("url") or "that was given"
    asked = [question.system] if question.system else sorted(reach(definitions, value_set)[0])
    matches = [s for s in asked if contains(definitions, value_set, s, question.code)]
    if not matches:
        where = f" of the system {question.system}" if question.system else ""
        return Verdict(False, f"The code {question.code!r}{where} is not in the value set {name}.")
    if len(matches) > 1:
        return Verdict(False, f"The code {question.code!r} is in {len(matches)} systems of the value set; name one.")
    return _described(definitions, matches[0], question, _named(value_set, matches[0], question.code))


def in_code_system(definitions: Definitions, question: Question) -> Verdict:
    """Whether a code system has a code, its display among those known. Raises `NotLocal`."""
    system = question.system or ""
    if question.version:
        definitions.table(f"{system}|{question.version}")
    if not known(definitions, system, question.code):
        return Verdict(False, f"The code system {system} has no code {question.code!r}.")
    return _described(definitions, system, question, ())


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """A CodeableConcept is valid when one of its codings is."""
    for verdict in verdicts:
        if verdict.result:
            return verdict
    if not verdicts:
        return Verdict(False, "The CodeableConcept has no coding with a code.")
    return Verdict(False, " ".join(v.message for v in verdicts if v.message))


def _named(value_set: Mapping[str, Any], system: str, code: str) -> Sequence[str]:
    return [
        item["display"]
        for include in value_set.get("compose", {}).get("include", ())
        if include.get("system") == system
        for item in include.get("concept", ())
        if item["code"] == code and "display" in item
    ]


def _described(definitions: Definitions, system: str, question: Question, named: Sequence[str]) -> Verdict:
    table = definitions.table(system)
    concept = table.find(question.code) if table else None
    if concept is None:
        allowed = list(named)
        best = allowed[0] if allowed else None
    else:
        if concept.abstract and not question.abstract:
            return Verdict(False, f"The code {question.code!r} only groups other codes.", concept.display)
        allowed = [*named, *filter(None, [concept.display]), *(d["value"] for d in concept.designations)]
        best = in_language(named[0] if named else concept.display, concept.designations, question.language)
    if question.display and allowed and fold(question.display) not in {fold(text) for text in allowed}:
        return Verdict(False, f"The display is not one of the code {question.code!r} in {system}.", best)
    return Verdict(True, None, best)
