"""`ValueSet.compose.include.filter` with the operator regex, whatever expression a client writes.

https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from collections.abc import Iterable, Iterator
from time import thread_time
from typing import TypeVar

from fhir_server.core.errors import TooCostly, Unprocessable
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.regexes import fills

_SECONDS = 2.0

T = TypeVar("T")


def matching(pattern: str, texts: Iterable[tuple[str, T]]) -> Iterator[T]:
    """What stands beside the texts that match as a whole. Raises `Unprocessable` for an expression that cannot be read
    or is too large, `TooCostly` after two seconds of processor time."""
    end = thread_time() + _SECONDS
    try:
        # Also where there is no text to try.
        fills(pattern, "")
        for text, beside in texts:
            if fills(pattern, text):
                yield beside
            if thread_time() > end:
                raise TooCostly("A filter's regular expression takes too long over this code system.")
    except FhirPathError as error:
        raise Unprocessable(f"A filter's regular expression is not valid: {error}") from None
