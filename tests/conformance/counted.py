"""How much work something is, in calls of functions: the same on every machine, however busy it is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def calls() -> Iterator[Callable[[], int]]:
    """Counts the calls of this thread until the block ends, those into C included; what is given tells them."""
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        yield lambda: count
    finally:
        sys.setprofile(None)
