"""Times as the clinic's wall clock shows them: what the calendar draws, and what people type."""

from datetime import UTC, date, datetime, timedelta

from ui import page
from ui.formats import moment_of
from ui.texts import say

_SHORTEST = timedelta(minutes=5)


class BadTime(Exception):
    """A time that was typed and is none; `text` says why, in the person's language."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def wall(instant: str) -> str:
    """A FHIR instant as `2026-11-23T09:00:00` on the clinic's wall."""
    return moment_of(instant).strftime("%Y-%m-%dT%H:%M:%S")


def wall_span(start: str, end: str) -> tuple[str, str]:
    """Start and end on the wall. Where the clock is set back meanwhile, the end still comes after the start."""
    first, last = (moment_of(each).replace(tzinfo=None) for each in (start, end))
    if last <= first:
        last = first + _SHORTEST
    return first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")


def moment_at(text: str) -> datetime:
    """The aware moment of a wall time (`2026-11-23T09:00`); of one that comes twice the first. Raises `BadTime`, also
    for one that the clock skips."""
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        raise BadTime(say("Enter a date and a time.")) from None
    if not 1971 <= typed.year < 2200 or typed.tzinfo is not None:
        raise BadTime(say("Enter a date and a time."))
    found = typed.replace(tzinfo=page.zone(), fold=0)
    if found.astimezone(UTC).astimezone(page.zone()).replace(tzinfo=None) != typed:
        raise BadTime(say("This time does not exist: the clock is set forward that day."))
    return found


def day_at(text: str | None) -> date:
    """The day that a URL names (`2026-11-23`), else today."""
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return page.today()
    return found if 1971 <= found.year < 2200 else page.today()


def midnight(day: date) -> datetime:
    """The first moment of a day at the clinic."""
    return datetime(day.year, day.month, day.day, tzinfo=page.zone())


def offset() -> str:
    """What the clinic's clock is ahead of UTC now: `+01:00`."""
    return page.now().astimezone(page.zone()).isoformat()[-6:]
