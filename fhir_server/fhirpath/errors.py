"""What goes wrong with an expression, said to the one who wrote it."""

from fhir_server.core.errors import Invalid


class FhirPathError(Invalid):
    """The expression cannot be read, names something that does not exist, or cannot be evaluated on this input."""
