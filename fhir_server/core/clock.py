"""What time it is, said in one place."""

from datetime import UTC, datetime, timedelta

_ahead = timedelta()


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC) + _ahead


def move(ahead: timedelta) -> None:
    """Let the clock of this process run ahead by so much from now on: for tests of what happens later."""
    global _ahead
    _ahead = ahead
