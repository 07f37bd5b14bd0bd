"""CodeSystem/$subsumes. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import definitions
from fhir_server.terminology import subsumes as terminology


def subsumes(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """How codeA and codeB (or codingA and codingB) of one code system stand to one another."""
    asked = call.parameters
    system = asked.get("system")
    if call.id is not None:
        system = decode(read(ctx, "CodeSystem", call.id).body).get("url")
    codes: list[str] = []
    systems = {system} if system else set()
    for side in ("A", "B"):
        coding = asked.get(f"coding{side}") or {"code": asked.get(f"code{side}")}
        if not coding.get("code"):
            raise Invalid(f"$subsumes needs code{side}, or coding{side} with a code.", expression=f"http.code{side}")
        codes.append(coding["code"])
        if coding.get("system"):
            systems.add(coding["system"])
    if len(systems) != 1:
        raise Invalid("Both codes must be of one code system, named by system.", expression="http.system")
    named = systems.pop()
    version = asked.get("version")
    outcome = terminology.subsumes(definitions(ctx), f"{named}|{version}" if version else named, codes[0], codes[1])
    return {"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]}
