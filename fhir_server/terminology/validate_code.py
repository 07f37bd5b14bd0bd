"""ValueSet/$validate-code and CodeSystem/$validate-code.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html, https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.errors import Issue, outcome
from fhir_server.terminology import grammars
from fhir_server.terminology.compose import contains, displays, home, used_systems
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.languages import in_language, of_language
from fhir_server.terminology.listed import known
from fhir_server.terminology.systems import Concept, System
from fhir_server.terminology.words import fold


@dataclass(frozen=True, slots=True)
class Question:
    """One coding to check. `abstract`: whether a code that only groups others is acceptable; `languages`: of the
    display; `at`: where the coding stands in the input, for the issues."""

    system: str | None
    code: str
    display: str | None = None
    version: str | None = None
    abstract: bool = True
    languages: Sequence[str] = ()
    at: str = "Coding"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code is valid, what is wrong or to be known of it, and the display that the system recommends."""

    result: bool
    issues: Sequence[Issue] = ()
    display: str | None = None
    code: str | None = None
    system: str | None = None
    version: str | None = None
    inactive: bool = False

    @property
    def message(self) -> str | None:
        """The issues in words."""
        return " ".join(issue.text for issue in self.issues) or None

    @classmethod
    def wrong(cls, question: Question, text: str, element: str = "code") -> "Verdict":
        """That a coding is not valid, and why."""
        return cls(False, [_issue(question, text, element)], code=question.code, system=question.system)

    def parameters(self) -> dict[str, Any]:
        """The operation's output; `code`, `system`, `version`, `inactive` and `issues` as in newer releases of FHIR."""
        values = (
            ("message", "valueString", self.message),
            ("display", "valueString", self.display),
            ("code", "valueCode", self.code),
            ("system", "valueUri", self.system),
            ("version", "valueString", self.version),
            ("inactive", "valueBoolean", self.inactive or None),
        )
        out: list[dict[str, Any]] = [{"name": "result", "valueBoolean": self.result}]
        out += [{"name": name, kind: value} for name, kind, value in values if value]
        if self.issues:
            out.append({"name": "issues", "resource": outcome(self.issues)})
        return {"resourceType": "Parameters", "parameter": out}


def in_value_set(definitions: Definitions, value_set: Mapping[str, Any], question: Question) -> Verdict:
    """Whether a coding is in a value set, its display among those known. A code without a system is looked for in
    every system of the value set. Raises `NotLocal` when codes that are not on this server are needed to tell."""
    name = value_set.get("url") or "that was given"
    asked = [question.system] if question.system else sorted(used_systems(definitions, value_set))
    matches = [s for s in asked if contains(definitions, value_set, s, question.code, question.version)]
    if len(matches) > 1:
        return Verdict.wrong(
            question, f"The code {question.code!r} is in {len(matches)} systems of the value set; name one.", "system"
        )
    if not matches:
        where = f" of the system {question.system}" if question.system else ""
        return Verdict.wrong(
            question, f"The code {question.code!r}{where} is not in the value set {name}.{_why(definitions, question)}"
        )
    system = home(definitions, value_set, matches[0], question.code, question.version)
    table = system or definitions.system(matches[0])
    said = displays(definitions, value_set, table).get(question.code) if table else _said(value_set, question, matches)
    return _described(matches[0], system, question, said)


def in_code_system(definitions: Definitions, question: Question, system: str | None = None) -> Verdict:
    """Whether a code system has a code, its display among those known. Raises `NotLocal`. `system`: the one asked about
    where the coding names none."""
    url = question.system or system or ""
    canonical = f"{url}|{question.version}" if question.version else url
    if not known(definitions, canonical, question.code):
        trouble = grammars.trouble(url, question.code)
        why = f" {trouble}" if trouble else ""
        return Verdict.wrong(question, f"The code system {url} has no code {question.code!r}.{why}")
    return _described(url, definitions.system(canonical), question, None)


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """A CodeableConcept is valid when one of its codings is."""
    for verdict in verdicts:
        if verdict.result:
            return verdict
    if not verdicts:
        return Verdict(False, [Issue("error", "required", "The CodeableConcept has no coding with a code.")])
    return Verdict(False, [issue for verdict in verdicts for issue in verdict.issues], verdicts[0].display)


def _why(definitions: Definitions, question: Question) -> str:
    """What else is to be said of a code that is not in a value set."""
    trouble = grammars.trouble(question.system or "", question.code)
    if trouble is not None:
        return f" {trouble}"
    system = definitions.system(question.system) if question.system else None
    if system is None or system.content != "complete":
        return ""
    concept = system.find(question.code)
    if concept is None:
        return f" The code system {system.url} has no such code."
    return " It is not to be used any more." if concept.inactive else ""


def _said(value_set: Mapping[str, Any], question: Question, matches: Sequence[str]) -> Any:
    for include in value_set.get("compose", {}).get("include", ()):
        for item in include.get("concept", ()) if include.get("system") == matches[0] else ():
            if item["code"] == question.code:
                return item.get("display"), item.get("designation", ())
    return None


def _described(url: str, system: System | None, question: Question, said: Any) -> Verdict:
    """The verdict on a code that is there: whether it may be chosen, and under this display."""
    concept = system.find(question.code) if system else None
    own_display, own_designations = said or (None, ())
    code = concept.code if concept else question.code
    version = system.version if system else None
    designations = [*own_designations, *(concept.designations if concept else ())]
    shown, main = own_display or (concept.display if concept else None), system.language if system else ""
    best = in_language(shown, designations, question.languages, main)
    inactive = concept is not None and concept.inactive
    issues: list[Issue] = []
    if concept is not None and concept.abstract and not question.abstract:
        issues.append(_issue(question, f"The code {question.code!r} only groups other codes.", "code"))
    elif (trouble := _display_trouble(url, question, own_display, concept, designations)) is not None:
        issues.append(_issue(question, trouble, "display"))
    result = not issues
    if inactive:
        issues.append(_issue(question, f"The code {question.code!r} is not to be used any more.", "code", "warning"))
    return Verdict(result, issues, best, code, url, version, inactive)


def _display_trouble(
    url: str, question: Question, own: str | None, concept: Concept | None, designations: Sequence[Mapping[str, Any]]
) -> str | None:
    main = [text for text in (own, concept.display if concept else None) if text]
    every = [*main, *(str(d["value"]) for d in designations if "value" in d)]
    if not question.display or not every:
        return None
    wanted = _plain(question.display)
    if wanted not in {_plain(text) for text in every}:
        return f"The display is not one of the code {question.code!r} in {url}."
    in_languages = of_language(designations, question.languages)
    if in_languages and wanted not in {_plain(text) for text in (*main, *in_languages)}:
        return f"The display is one of the code {question.code!r}, but not in the language that was asked for."
    return None


def _plain(text: str) -> str:
    return " ".join(fold(text).split())


def _issue(question: Question, text: str, element: str, severity: str = "error") -> Issue:
    code = "invalid" if element == "display" else "business-rule" if severity == "warning" else "code-invalid"
    at = question.at if question.at == element else f"{question.at}.{element}" if question.at else element
    return Issue(severity, code, text, at)
