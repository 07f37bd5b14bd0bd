"""What a clinic decided about one of its queues: extensions `queue-configuration` and `queue-state` of the
HealthcareService that is the queue (profiles/queue/structures)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue

CONFIGURATION = "urn:salam:StructureDefinition:queue-configuration"
STATE = "urn:salam:StructureDefinition:queue-state"
KINDS = ("normal", "vip", "appointment", "express", "emergency")
STATES = ("open", "paused", "closed")
DISPLAYS = ("number", "initials", "initials-digits")
_USUAL_KINDS = ("normal", "appointment", "emergency")
# Whole numbers of a configuration: name of the part -> (field, least, most).
_NUMBERS = {
    "width": ("width", 1, 6),
    "graceMinutes": ("grace_minutes", 0, 240),
    "maxRecalls": ("max_recalls", 0, 10),
    "returnPlaces": ("return_places", 0, 100),
    "maxReturns": ("max_returns", 0, 10),
    "starvationBound": ("starvation_bound", 0, 100),
    "paidEvery": ("paid_every", 1, 100),
    "maxWaiting": ("max_waiting", 1, 10_000),
    "maxPerDay": ("max_per_day", 1, 100_000),
    "stopMinutesBeforeClosing": ("stop_minutes_before_closing", 0, 720),
    "earlyTolerance": ("early_tolerance", 0, 1440),
    "lateTolerance": ("late_tolerance", 0, 1440),
    "serviceMinutes": ("service_minutes", 1, 480),
}

_SWITCHES = {"remoteTickets": "remote_tickets", "selfCheckIn": "self_check_in"}


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """The rules of one queue. Minutes where not said otherwise; None: no limit. Paid kinds (vip, express) have a
    meaning only where `kinds` names them. `self_check_in`: who says with his own account that he has come is believed.
    `transfer_to`: `HealthcareService/id`; empty: to any queue."""

    prefix: str = "A"
    width: int = 3
    kinds: tuple[str, ...] = _USUAL_KINDS
    grace_minutes: int = 15
    max_recalls: int = 2
    return_places: int = 3
    max_returns: int = 2
    starvation_bound: int = 3
    paid_every: int = 3
    max_waiting: int | None = None
    max_per_day: int | None = None
    stop_minutes_before_closing: int = 0
    early_tolerance: int = 30
    late_tolerance: int = 10
    remote_tickets: bool = True
    self_check_in: bool = False
    transfer_to: tuple[str, ...] = ()
    display: str = "number"
    service_minutes: int = 15
    closes_at: time | None = None
    timezone: str = "UTC"

    def number(self, number: int) -> str:
        """A ticket's number as people see it: `A-042`."""
        return f"{self.prefix}-{number:0{self.width}d}" if self.prefix else f"{number:0{self.width}d}"

    def day(self, now: datetime) -> date:
        """The calendar day in the queue's zone; numbers begin anew with it."""
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def closing(self, now: datetime) -> datetime | None:
        """When the queue closes on this day, or None when no time is set. Midnight ends the day."""
        if self.closes_at is None:
            return None
        if self.closes_at == time():
            return self.end_of_day(now)
        return datetime.combine(self.day(now), self.closes_at, ZoneInfo(self.timezone))

    def end_of_day(self, now: datetime) -> datetime:
        """The midnight with which the next day begins."""
        return datetime.combine(self.day(now) + timedelta(days=1), time(), ZoneInfo(self.timezone))


@dataclass(frozen=True, slots=True)
class QueueState:
    """Whether the queue calls and takes people now. `message`: what the public is told."""

    state: str = "closed"
    since: str | None = None
    reason: str | None = None
    message: str | None = None


def of(service: Mapping[str, Any], zone: str = "UTC") -> QueueConfig | None:
    """The queue's rules, or None for a HealthcareService that is no queue. `zone`: the tenant's, where none is set."""
    found = _extension(service, CONFIGURATION)
    if found is None:
        return None
    set_: dict[str, Any] = {"timezone": zone}
    for _, name, value in _values(found):
        if name in _NUMBERS:
            set_[_NUMBERS[name][0]] = value
        elif name == "kinds":
            set_["kinds"] = (*set_.get("kinds", ()), value)
        elif name == "transferTo":
            set_["transfer_to"] = (*set_.get("transfer_to", ()), value.get("reference", ""))
        elif name in _SWITCHES:
            set_[_SWITCHES[name]] = value
        elif name == "closesAt":
            set_["closes_at"] = time.fromisoformat(value)
        elif name in ("prefix", "display", "timezone"):
            set_[name] = value
    return QueueConfig(**set_)


def state(service: Mapping[str, Any]) -> QueueState:
    """What `$open`, `$pause` and `$close` last set; a queue that was never opened is closed."""
    found = _extension(service, STATE)
    if found is None:
        return QueueState()
    return QueueState(**{name: value for _, name, value in _values(found) if name in QueueState.__dataclass_fields__})


def issues(service: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with the configuration of a queue, beyond its form, which the extension's definition settles."""
    found: list[Issue] = []
    for number, extension in enumerate(service.get("extension", ())):
        if extension.get("url") != CONFIGURATION:
            continue
        for at, name, value in _values(extension):
            problem = _of_value(name, value)
            if problem:
                path = f"HealthcareService.extension[{number}].extension[{at}]"
                found.append(Issue("error", "business-rule", problem, path))
    return found


def guard(ctx: Context, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Sequence[Issue]:
    """What speaks against a client's write of a HealthcareService: a wrong configuration."""
    return issues(after) if after is not None else ()


def _of_value(name: str, value: Any) -> str | None:
    """What is wrong with the value of a part, in a sentence."""
    if name in _NUMBERS and isinstance(value, int):
        _, least, most = _NUMBERS[name]
        return None if least <= value <= most else f"{name} takes {least} to {most}."
    if name == "kinds" and value not in KINDS:
        return f"kinds takes {', '.join(KINDS)}."
    if name == "display" and value not in DISPLAYS:
        return f"display takes {', '.join(DISPLAYS)}."
    if name == "prefix" and not (len(str(value)) <= 4 and str(value).isalnum()):
        return "prefix is one to four letters or digits."
    if name == "transferTo" and not _is_queue(value):
        return "transferTo refers to a HealthcareService of this server: HealthcareService/[id]."
    if name == "timezone":
        return _of_zone(str(value))
    return None


def _is_queue(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("reference", "")).startswith("HealthcareService/")


def _of_zone(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "timezone takes a name of the IANA time zone database, such as Africa/Casablanca."
    return None


def _extension(service: Mapping[str, Any], url: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = next((e for e in service.get("extension", ()) if e.get("url") == url), None)
    return found


def _values(extension: Mapping[str, Any]) -> Iterator[tuple[int, str, Any]]:
    """The parts of an extension: index, name, value."""
    for number, part in enumerate(extension.get("extension", ())):
        value = next((value for element, value in part.items() if element.startswith("value")), None)
        yield number, part.get("url", ""), value
