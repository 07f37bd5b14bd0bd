"""What was worked out once and cannot change: kept for the whole process, within limits."""

from collections.abc import Hashable
from threading import Lock
from typing import Any


class Kept:
    """Answers by what they depend on, no more than `most` in size all together; then it begins anew."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._answers: dict[Hashable, Any] = {}
        self._guard = Lock()

    def get(self, key: Hashable) -> Any:
        """The answer, or None."""
        return self._answers.get(key)

    def put(self, key: Hashable, answer: Any, size: int) -> None:
        """Keep an answer of this size; one larger than half of all is not kept."""
        if size > self._most // 2:
            return
        with self._guard:
            if self._size + size > self._most:
                self._answers, self._size = {}, 0
            self._answers[key] = answer
            self._size += size
