"""What the terminology operations have in common: the definition named, languages, versions, refusals."""

from collections.abc import Iterable, Mapping

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, NotSupported
from fhir_server.core.resource_json import decode
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.terminology.languages import preferred
from fhir_server.terminology.resources import Held


def instance(ctx: Context, resource_type: str, resource_id: str) -> Held:
    """The stored definition that the URL names. Raises as `read`."""
    version = read(ctx, resource_type, resource_id)
    return Held(decode(version.body), (ctx.tenant.id, version.rid, version.version))


def languages(call: OperationCall) -> tuple[str, ...]:
    """The languages of displays that the caller wants: by displayLanguage, else by Accept-Language."""
    return preferred(call.parameters.get("displayLanguage") or call.language)


def versions_of(name: str, values: Iterable[str]) -> Mapping[str, str]:
    """{system: version} of parameters that name code systems as `system|version`."""
    found: dict[str, str] = {}
    for canonical in values:
        url, mark, version = canonical.partition("|")
        if not mark or not url or not version:
            raise Invalid(f"{name} is written as system|version.", expression=f"http.{name}", code="value")
        found[url] = version
    return found


def refuse(call: OperationCall, names: Mapping[str, str]) -> None:
    """Raise `NotSupported` for a parameter that this server understands but does not act on; `names` gives the reason.
    To ignore it would be to answer another question."""
    for name, why in names.items():
        if name in call.parameters:
            raise NotSupported(f"${call.operation.code} does not take {name} here: {why}", expression=f"http.{name}")
