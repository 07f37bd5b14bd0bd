"""The functions of FHIRPath by name."""

from collections.abc import Mapping

from fhir_server.fhirpath.compile import Build
from fhir_server.fhirpath.functions import (
    boundaries,
    conversion,
    existence,
    filtering,
    maths,
    strings,
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
    **boundaries.FUNCTIONS,
    **utility.FUNCTIONS,
}
