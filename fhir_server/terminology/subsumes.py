"""CodeSystem/$subsumes. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from fhir_server.core.errors import NotFound
from fhir_server.terminology.definitions import Definitions


def subsumes(definitions: Definitions, system: str, code_a: str, code_b: str) -> str:
    """`equivalent`, `subsumes` (A is above B), `subsumed-by` or `not-subsumed`.
    Raises `NotFound` for an unknown code."""
    table = definitions.require(system)
    found = []
    for name, code in (("codeA", code_a), ("codeB", code_b)):
        concept = table.find(code)
        if concept is None:
            raise NotFound(f"The code system {table.url} has no code {code!r}.", expression=f"http.{name}")
        found.append(concept.code)
    a, b = found
    if a == b:
        return "equivalent"
    if b in table.descendants(a):
        return "subsumes"
    return "subsumed-by" if a in table.descendants(b) else "not-subsumed"
