"""CodeSystem/$lookup. https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.operations.canonical import asked_end, languages
from fhir_server.terminology import lookup as terminology


def lookup(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What is known of a code, given as system and code or as a Coding."""
    asked = call.parameters
    coding: dict[str, Any] = asked.get("coding") or {"system": asked.get("system"), "code": asked.get("code")}
    if "coding" in asked and ("code" in asked or "system" in asked):
        raise Invalid("Give either coding or code with system.", expression="http.coding")
    system, code = coding.get("system") or "", coding.get("code") or ""
    for name, value in (("system", system), ("code", code)):
        if not value:
            raise Invalid(f"$lookup needs {name}, or a coding that has it.", expression=f"http.{name}", code="required")
    if len({version for version in (asked.get("version"), coding.get("version")) if version}) > 1:
        raise Invalid("version and the coding say different versions.", expression="http.version")
    version = asked.get("version") or coding.get("version")
    return terminology.lookup(
        of_caller(ctx, end=asked_end(call)),
        f"{system}|{version}" if version else system,
        code,
        frozenset(asked.get("property", ())),
        languages(call),
    )
