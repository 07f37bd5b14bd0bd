"""StructureDefinition/$snapshot. https://hl7.org/fhir/R4/structuredefinition-operation-snapshot.html"""

from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy

_TYPE = "StructureDefinition"


def snapshot(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The instance's definition, the one named by `url` or the one given as `definition`, with its snapshot: made anew
    where there is a differential.

    Raises `Unprocessable` with all that is wrong with the differential.
    """
    definition = _definition(ctx, call)
    whole = dict(definition)
    if "differential" in definition:
        whole.pop("snapshot", None)
    elements = snapshot_of(whole, Definitions(ctx.registry.canonicals, ctx.db, ctx.tenant.id).find)
    differential = whole.pop("differential", None)
    made = {**whole, "snapshot": {"element": elements}}
    return {**made, "differential": differential} if differential else made


def _definition(ctx: Context, call: OperationCall) -> dict[str, Any]:
    url, given = call.parameters.get("url"), call.parameters.get("definition")
    named = [source for source in (call.id, url, given) if source is not None]
    if len(named) != 1:
        raise Invalid(
            "Name one definition: by the URL's id, by url, or as definition.", expression="http.url", code="required"
        )
    if given is not None:
        policy.allow(ctx, "read", _TYPE)
        return dict(given)
    found = decode(read(ctx, _TYPE, call.id or _id_of(ctx, str(url))).body)
    return dict(found)


def _id_of(ctx: Context, url: str) -> str:
    """The id of the definition that a canonical names for this tenant."""
    row = ctx.registry.canonicals.find(_TYPE, url)
    shared = base_definitions.find(_TYPE, url) if row is None else None
    if row is None and shared is None:
        raise NotFound(f"The definition {url} is not known here.", expression="http.url")
    return row.id if row is not None else str(shared["id"] if shared else "")
