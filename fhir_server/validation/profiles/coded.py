"""The codes that an element's value has, and whether a value set has one of them.

https://hl7.org/fhir/R4/terminologies.html#4.1
"""

from collections.abc import Callable, Iterator, Mapping

from fhir_server.fhirpath import Node
from fhir_server.validation.scope import Members

# A code as a value set knows it: (system, code); None where the type has no place for a system.
Codes = Callable[[Node], "Iterator[tuple[str | None, str]]"]


def _of_text(node: Node) -> Iterator[tuple[str | None, str]]:
    if node[1] is not None:
        yield None, node[1]


def _of_coding(node: Node) -> Iterator[tuple[str | None, str]]:
    if "code" in node[1]:
        yield node[1].get("system", ""), node[1]["code"]


def _of_concept(node: Node) -> Iterator[tuple[str | None, str]]:
    for coding in node[1].get("coding", ()):
        if "code" in coding:
            yield coding.get("system", ""), coding["code"]


CODES: Mapping[str, Codes] = {
    **dict.fromkeys(("code", "string", "uri", "url", "canonical", "oid", "uuid", "id", "markdown"), _of_text),
    **dict.fromkeys(("Coding", "Quantity", "Age", "Count", "Distance", "Duration"), _of_coding),
    **dict.fromkeys(("SimpleQuantity", "MoneyQuantity"), _of_coding),
    "CodeableConcept": _of_concept,
}


def within(membership: Members, value_set: str, node: Node) -> bool | None:
    """Whether one of an item's codes is in a value set; None when that cannot be told here, or it has no code."""
    codes = CODES.get(node[0])
    if codes is None:
        return None
    told: bool | None = None
    for system, code in codes(node):
        # A coding that does not say its system is in no value set.
        verdict = False if system == "" else membership.check(value_set, system, code)
        if verdict:
            return True
        told = verdict if told is None else told
        if verdict is None:
            return None
    return told
