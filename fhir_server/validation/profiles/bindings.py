"""Bindings of a profile at every strength.

https://hl7.org/fhir/R4/terminologies.html#strength: a code outside a required value set is an error; outside an
extensible one it is right only if no code of the value set would do, which people have to judge: a warning, but beyond
the greatest value set (`elementdefinition-maxValueSet`) an error; a preferred one is a recommendation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.coded import CODES, within
from fhir_server.validation.profiles.trial import Check, Trial
from fhir_server.validation.walk import Path

_MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_ADDITIONAL = (
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
    "http://hl7.org/fhir/StructureDefinition/additional-binding",
)
_SEVERITIES = {"required": "error", "extensible": "warning", "preferred": "information"}
_WORDS = {
    "required": "must be from",
    "extensible": "should, unless none of its codes would do, be from",
    "preferred": "is best taken from",
}
_MOST_LISTED = 12

def binding_check(
    binding: Mapping[str, Any], name: str, type_: str, rule: str, owner: str, *, own: bool
) -> Check | None:
    """The check of a binding on items of one type, or None when there is nothing to check. `own`: the profile says
    other than R4 does, so that it is told when a code could not be checked."""
    codes, value_set, strength = CODES.get(type_), binding.get("valueSet"), binding.get("strength", "")
    severity = _SEVERITIES.get(strength)
    if codes is None or not value_set or severity is None:
        return None
    greatest = next((e.get("valueCanonical") for e in binding.get("extension", ()) if e["url"] == _MAX_VALUE_SET), None)
    place = f"'{name}'" if type_ in ("code", "string", "uri") else f"A code of '{name}'"
    text = f"{place} {_WORDS[strength]} {value_set} in {owner}."

    def check(node: Node, path: Path, trial: Trial) -> None:
        if next(codes(node), None) is None:
            # Beyond the greatest value set there is nothing: a text alone is not in it.
            beyond, wanted = (strength, value_set) if greatest is None else ("required", greatest)
            _without_code(node, path, trial, beyond, wanted, f"'{name}' has no code; one", rule)
            return
        verdict = within(trial.scope.membership, value_set, node)
        if verdict is None and own and severity != "information":
            note = f"Whether the code of '{name}' is in {value_set} cannot be told here."
            trial.fail(path, "not-supported", note, rule, "information")
        elif verdict is False:
            if greatest is not None and within(trial.scope.membership, greatest, node) is False:
                trial.fail(path, "code-invalid", f"{place} must be from {greatest} in {owner}.", rule)
            else:
                trial.fail(path, "code-invalid", text + _listed(trial, value_set), rule, severity)

    return check


def additional(binding: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The further bindings that an extension of a binding adds and that can be checked: those that hold always.

    https://hl7.org/fhir/tools/StructureDefinition-additional-binding.html
    """
    for extension in binding.get("extension", ()):
        said = {part["url"]: part for part in extension.get("extension", ())} if extension["url"] in _ADDITIONAL else {}
        purpose = said.get("purpose", {}).get("valueCode")
        value_set = said.get("valueSet", {}).get("valueCanonical")
        if value_set and "usage" not in said and purpose in ("required", "maximum", "extensible"):
            yield {"strength": "extensible" if purpose == "extensible" else "required", "valueSet": value_set}


def _without_code(node: Node, path: Path, trial: Trial, strength: str, value_set: str, begin: str, rule: str) -> None:
    # A reason for the gap in an extension (data-absent-reason) is a stated gap.
    beside = node[1] if isinstance(node[1], dict) else node[2]
    if strength == "preferred" or (beside and "extension" in beside):
        return
    word = "must" if strength == "required" else "should"
    trial.fail(path, "code-invalid", f"{begin} {word} be from {value_set}.", rule, _SEVERITIES[strength])


def _listed(trial: Trial, value_set: str) -> str:
    codes = trial.scope.membership.codes(value_set, _MOST_LISTED)
    return f" It has: {', '.join(sorted(code for _, code in codes))}." if codes else ""
