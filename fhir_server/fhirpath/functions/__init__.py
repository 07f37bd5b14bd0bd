"""The functions of FHIRPath by name."""

from collections.abc import Mapping

from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.functions import (
    aggregates,
    boundaries,
    components,
    conversion,
    definitions,
    existence,
    filtering,
    maths,
    references,
    strings,
    terminology,
    types,
    utility,
)

FUNCTIONS: Mapping[str, Build] = {
    **existence.FUNCTIONS,
    **filtering.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **maths.FUNCTIONS,
    **types.FUNCTIONS,
    **aggregates.FUNCTIONS,
    **definitions.FUNCTIONS,
    **references.FUNCTIONS,
    **terminology.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **components.FUNCTIONS,
    **utility.FUNCTIONS,
}
