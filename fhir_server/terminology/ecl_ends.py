"""`!!>` and `!!<` of expression constraints: the top and the bottom of a set.

https://confluence.ihtsdotools.org/display/DOCECL
"""

from fhir_server.core.errors import TooCostly
from fhir_server.core.spans import NONE, Spans
from fhir_server.terminology.systems import System

TOP, BOTTOM = "!!>", "!!<"
# Concepts whose kin is asked for, and pieces of ranges that are gone through for it.
_MOST, _MOST_PIECES = 1_000, 1_000_000


def end_of(system: System, operator: str, concepts: Spans) -> Spans:
    """The concepts that are below (`!!>`) or above (`!!<`) no other one of the set. Raises `TooCostly`."""
    left, kin, pieces = concepts, NONE, 0
    for _ in range(_MOST):
        if not left:
            return concepts - kin
        # What is above comes first: most of what is left is then kin of the one that is asked about.
        (number,) = left.page(0 if operator == TOP else len(left) - 1, 1)
        (concept,) = system.page([number])
        others = system.below(concept.code) if operator == TOP else system.above(concept.code)
        kin |= others
        left = left - others - Spans.of([number])
        pieces += kin.pieces + left.pieces
        if pieces > _MOST_PIECES:
            break
    raise TooCostly(f"{operator} applies to sets here whose end can be told from at most {_MOST} concepts.")
