"""What a request takes, measured so that a busy machine makes no difference: its statements, and its processor time."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fhir_server.storage.session import Session


class Work:
    """By name: the statements of the latest time, and the seconds of the processor that this thread used each time."""

    def __init__(self) -> None:
        self.statements: dict[str, list[str]] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure what is done meanwhile."""
        asked: list[str] = []
        run = Session.run

        def counted(db: Session, statements: Any, **how: Any) -> Any:
            asked.extend(each[0] for each in statements)
            return run(db, statements, **how)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Session, "run", counted)
            began = time.thread_time()
            yield
            self.seconds[name].append(time.thread_time() - began)
        # Old counts are swept away now and then, whoever comes.
        self.statements[name] = [sql for sql in asked if "FOR UPDATE SKIP LOCKED" not in sql]
