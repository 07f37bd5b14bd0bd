"""CodeSystem/$subsumes. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from fhir_server.core.errors import NotFound
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.systems import Concept, System


def subsumes(definitions: Definitions, system: str, code_a: str, code_b: str) -> str:
    """`equivalent`, `subsumes` (A is above B), `subsumed-by` or `not-subsumed`.
    Raises `NotFound` for an unknown code."""
    table = definitions.require(system)
    a, b = _concept(table, "codeA", code_a), _concept(table, "codeB", code_b)
    if a.number == b.number:
        return "equivalent"
    if b.number in table.below(a.code):
        return "subsumes"
    return "subsumed-by" if a.number in table.below(b.code) else "not-subsumed"


def _concept(system: System, name: str, code: str) -> Concept:
    concept = system.find(code)
    if concept is None:
        raise NotFound(f"The code system {system.url} has no code {code!r}.", expression=f"http.{name}")
    return concept
