"""What several evaluations may take together; each has limits of its own besides (`nodes.Env`).

Without it a definition whose expression is evaluated on every item of a large resource, and stays below those limits
every time, keeps a web process for minutes. Work is counted in units of about 100 ns.
"""

import threading
from math import inf
from types import TracebackType

from fhir_server.core.errors import TooCostly
from fhir_server.fhirpath.errors import FhirPathError

# Of one request.
MOST_WORK, MOST_SECONDS = 30_000_000, 3.0
# Of the search parameters that a tenant has made, on one resource. Seconds only bound what work does not see.
SHARED_WORK, SHARED_SECONDS = 2_000_000, 1.0


class _Left(threading.local):
    """What is left to this thread."""

    work: float = inf
    seconds: float = inf
    shared_work: float = inf
    shared_seconds: float = inf


_left = _Left()


class Together:
    """`with Together():` a request. Its evaluations raise `TooCostly` when all is used up."""

    def __enter__(self) -> None:
        _left.work, _left.seconds = MOST_WORK, MOST_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _left.work = _left.seconds = inf


class Shared:
    """`with Shared():` expressions of which none is needed: they raise `FhirPathError` when their share is used up."""

    def __enter__(self) -> None:
        _left.shared_work, _left.shared_seconds = SHARED_WORK, SHARED_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _left.shared_work = _left.shared_seconds = inf


def take(work: int, seconds: float) -> None:
    """Count the work and the processor time that an evaluation has taken."""
    _left.work -= work
    _left.seconds -= seconds
    if _left.work < 0 or _left.seconds < 0:
        raise TooCostly("The expressions that apply here (invariants, search parameters) take too much time together.")
    _left.shared_work -= work
    _left.shared_seconds -= seconds
    if _left.shared_work < 0 or _left.shared_seconds < 0:
        raise FhirPathError("The expressions take too much work together.")
