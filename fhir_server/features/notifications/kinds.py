"""Which messages and channels there are (profiles/notifications/rules.json)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_table

FEATURE = "notifications"
KIND_SYSTEM = "urn:salam:CodeSystem:message-kind"
CHANNEL_SYSTEM = "urn:salam:CodeSystem:message-channel"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message. names: (name, `text` or `instant`) that its templates may use; order: its channels, the first
    that a person has and wants is taken; optional: care goes on without it; breaks_quiet_hours: sent at night too;
    lives: how long it makes sense."""

    code: str
    title: Mapping[str, str]
    names: tuple[tuple[str, str], ...]
    order: tuple[str, ...]
    optional: bool
    breaks_quiet_hours: bool
    lives: timedelta | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to a person. subject, text: most characters (0: it has no subject); quiet: respects quiet hours;
    long_dates, isolated: how values are written (`template_language.Style`)."""

    code: str
    subject: int
    text: int
    quiet: bool
    long_dates: bool
    isolated: bool


@cache
def rules() -> dict[str, Any]:
    """The table as it stands in the file."""
    table: dict[str, Any] = dict(own_table("rules"))[FEATURE]
    return table


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds of messages, by code."""
    return {code: _kind(code, row) for code, row in rules()["kinds"].items()}


@cache
def channels() -> Mapping[str, Channel]:
    """The channels, by code."""
    return {
        code: Channel(code, row["subject"], row["text"], row["quiet"], row["long_dates"], row["isolated"])
        for code, row in rules()["channels"].items()
    }


def lives_until(kind: Kind, now: datetime, end: datetime | None) -> datetime | None:
    """When a message of this kind, made now, makes no sense any more: at `end` of its occasion, or by its age."""
    aged = now + kind.lives if kind.lives is not None else None
    return min((moment for moment in (aged, end) if moment is not None), default=None)


def _kind(code: str, row: Mapping[str, Any]) -> Kind:
    lives = row["lives_minutes"]
    return Kind(
        code,
        row["title"],
        tuple(row["names"].items()),
        tuple(row["order"]),
        row["optional"],
        row["breaks_quiet_hours"],
        timedelta(minutes=lives) if lives is not None else None,
    )

