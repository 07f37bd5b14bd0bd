"""Expressions of forms, from the guide Structured Data Capture, where they are plain FHIRPath: whether an item applies,
what its answer is, what it may be.

What they say is advice here, never an error: programs that fill forms in may know more (launch contexts, queries).
http://hl7.org/fhir/uv/sdc/expressions.html
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.fhirpath import Env, FhirPathError, Node, compile_node_expression
from fhir_server.validation.questionnaires.answer_values import extensions

Json = Mapping[str, Any]

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
ENABLED, CALCULATED, ANSWERS = (f"{SDC}{name}Expression" for name in ("enableWhen", "calculated", "answer"))
_VARIABLE = "http://hl7.org/fhir/StructureDefinition/variable"
_ROOT, _ITEM = "QuestionnaireResponse", "QuestionnaireResponse.item"
_FHIRPATH = "text/fhirpath"
# So many are evaluated for one response; of the others nothing is said.
_MOST = 500


class Expressions:
    """The expressions of one questionnaire on one response."""

    def __init__(self, registry: Registry, questionnaire: Json, response: dict[str, Any]) -> None:
        self._registry = registry
        self._root: Node = (_ROOT, response, None)
        self._variables: dict[str, list[Node]] = {"questionnaire": [("Questionnaire", dict(questionnaire), None)]}
        self._left = _MOST
        for each in extensions(questionnaire, _VARIABLE):
            found = self._value(each, _ROOT, [self._root])
            if found is not None and "name" in each:
                self._variables[each["name"]] = found

    def value(self, definition: Json, url: str, item: Json | None) -> list[Node] | None:
        """What the item's expression of this kind gives, on the item of the response or on none; None where it has no
        such expression or it cannot be told here."""
        said = next(iter(extensions(definition, url)), None)
        return None if said is None else self._value(said, _ITEM, [] if item is None else [(_ITEM, item, None)])

    def applies(self, definition: Json, item: Json | None) -> bool | None:
        """Whether an item applies by its own expression; None where that cannot be told."""
        found = self.value(definition, ENABLED, item)
        if not found:
            # Without an item a path from it leads nowhere, which says nothing.
            return None if found is None or item is None else False
        told = found[0][1] if len(found) == 1 else None
        return told if isinstance(told, bool) else None

    def _value(self, said: Any, type_: str, focus: list[Node]) -> list[Node] | None:
        text = said.get("expression") if isinstance(said, dict) and said.get("language") == _FHIRPATH else None
        self._left -= 1
        if text is None or self._left < 0:
            return None
        try:
            compiled, _ = compile_node_expression(text, type_, self._registry)
            return compiled.run(focus, Env(self._root, variables=self._variables, context=focus))
        except FhirPathError:
            return None


def unreadable(said: Any, registry: Registry) -> str:
    """Why the FHIRPath of an expression cannot be read; "" when it can, and for other languages."""
    if not isinstance(said, dict) or said.get("language") != _FHIRPATH or "expression" not in said:
        return ""
    try:
        compile_node_expression(said["expression"], _ITEM, registry)
    except FhirPathError as error:
        return str(error)
    return ""
