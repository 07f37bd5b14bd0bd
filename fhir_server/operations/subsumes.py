"""CodeSystem/$subsumes. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import instance
from fhir_server.terminology import subsumes as terminology


def subsumes(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """How codeA and codeB (or codingA and codingB) of one code system stand to one another."""
    asked = call.parameters
    held = [instance(ctx, "CodeSystem", call.id)] if call.id is not None else []
    systems: set[str] = {held[0].resource.get("url", "")} if held else {asked["system"]} if "system" in asked else set()
    versions: set[str] = {asked["version"]} if "version" in asked else set()
    codes: list[str] = []
    for side in ("A", "B"):
        if f"coding{side}" in asked and f"code{side}" in asked:
            raise Invalid(f"Give either code{side} or coding{side}.", expression=f"http.coding{side}")
        coding = asked.get(f"coding{side}") or {"code": asked.get(f"code{side}")}
        if not coding.get("code"):
            text = f"$subsumes needs code{side}, or coding{side} with a code."
            raise Invalid(text, expression=f"http.code{side}", code="required")
        codes.append(coding["code"])
        systems |= {coding["system"]} if coding.get("system") else set()
        versions |= {coding["version"]} if coding.get("version") else set()
    if len(systems) != 1:
        raise Invalid("Both codes must be of one code system, named by system.", expression="http.system")
    if len(versions) > 1:
        raise Invalid("Both codes must be of one version of the code system.", expression="http.version")
    named = "|".join([systems.pop(), *versions])
    outcome = terminology.subsumes(of_caller(ctx, held), named, codes[0], codes[1])
    return {"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]}
