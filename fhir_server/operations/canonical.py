"""What the terminology operations have in common: the definition named, languages, versions, dates."""

from collections.abc import Iterable, Mapping

from fhir_server.core.context import Context
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Invalid
from fhir_server.interactions.read import read
from fhir_server.interactions.terminologies import stored
from fhir_server.operations.call import OperationCall
from fhir_server.storage import clock
from fhir_server.terminology.languages import preferred
from fhir_server.terminology.resources import Held

_DAY_US = 86_400_000_000


def instance(ctx: Context, resource_type: str, resource_id: str) -> Held:
    """The stored definition that the URL names. Raises as `read`."""
    return stored(ctx, read(ctx, resource_type, resource_id))


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


def asked_end(call: OperationCall) -> int | None:
    """The moment (microseconds) at which `date` ends: what was in force just before counts. None: as things are now.
    Raises `Invalid` for what nobody can know yet."""
    text = call.parameters.get("date")
    if text is None:
        return None
    now = clock.micros(clock.tick())
    low, high = parse_range(text)
    # Where the client is, tomorrow may have begun.
    if low > now + _DAY_US:
        raise Invalid("date lies in the future: what will be defined then is not known.", expression="http.date")
    return high if high <= now else None


def goes_with(call: OperationCall, name: str, *others: str) -> None:
    """Raise `Invalid` for a parameter that says something only beside one of others, none of which was given: to ignore
    it would be to answer another question."""
    if name in call.parameters and not any(other in call.parameters for other in others):
        beside = " or ".join(others)
        raise Invalid(f"${call.operation.code} takes {name} beside {beside} only.", expression=f"http.{name}")
