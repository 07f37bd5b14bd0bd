"""Visits as iCalendar text. Pure. https://www.rfc-editor.org/rfc/rfc5545, https://www.rfc-editor.org/rfc/rfc5546"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from zoneinfo import ZoneInfo

from icalendar import Timezone

from fhir_server.core.dates import in_zone

_PRODUCT = "-//Salam//Appointments//EN"
# A hint only: Google and Outlook ask again when they like, after hours.
_TTL = "PT15M"
_UTC = "%Y%m%dT%H%M%SZ"
_WIDTH = 75
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_LINES = re.compile(r"\r\n|\r|\u2028|\u2029")
_ADDRESS = re.compile(r"[^\s@<>\"'(),:;\\\[\]\x00-\x1f]+@[^\s@<>\"'(),:;\\\[\]\x00-\x1f]+\Z")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is invited or invites. `email`: "" when there is none, and then the name alone is shown."""

    name: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment as a calendar shows it. `status`: TENTATIVE, CONFIRMED or CANCELLED; `sequence`: number of the
    version; `changed`: when that version was stored; texts may be empty."""

    uid: str
    sequence: int
    status: str
    start: datetime
    end: datetime
    zone: str
    changed: datetime
    summary: str
    description: str = ""
    place: str = ""
    url: str = ""
    organizer: Person | None = None
    attendees: Sequence[Person] = ()


def calendar(visits: Sequence[Visit], *, name: str, method: str | None = None) -> bytes:
    """The iCalendar object of these visits, in their order, with the rules of every zone that they stand in.

    The same visits give the same bytes. `method`: REQUEST or CANCEL for a message to somebody, None for a feed.
    """
    lines = ["BEGIN:VCALENDAR", f"PRODID:{_PRODUCT}", "VERSION:2.0", "CALSCALE:GREGORIAN"]
    if method:
        lines.append(f"METHOD:{method}")
    else:
        lines += [f"X-WR-CALNAME:{_escaped(_line(name))}", f"X-PUBLISHED-TTL:{_TTL}"]
        lines.append(f"REFRESH-INTERVAL;VALUE=DURATION:{_TTL}")
    parts = [_folded(lines)]
    for zone in sorted({visit.zone for visit in visits} - {"UTC"}):
        parts.append(_zone(zone, [visit for visit in visits if visit.zone == zone]))
    # The library's components cost a quarter of a millisecond each, which is much for a feed of a year.
    parts += [_folded(_event(visit)) for visit in visits]
    return b"".join([*parts, b"END:VCALENDAR\r\n"])


def _zone(zone: str, visits: Sequence[Visit]) -> bytes:
    """The zone's changes from the year before the first of its visits to the year after the last."""
    first = max(min(visit.start for visit in visits).year - 1, MINYEAR)
    last = min(max(visit.end for visit in visits).year + 2, MAXYEAR)
    return bytes(Timezone.from_tzinfo(ZoneInfo(zone), zone, date(first, 1, 1), date(last, 1, 1)).to_ical())


def _event(visit: Visit) -> Iterator[str]:
    changed = visit.changed.astimezone(UTC).strftime(_UTC)
    yield "BEGIN:VEVENT"
    yield f"UID:{_escaped(visit.uid)}"
    # The time of the version, not of the answer: an unchanged calendar stays the same to the byte.
    yield f"DTSTAMP:{changed}"
    yield f"LAST-MODIFIED:{changed}"
    yield f"SEQUENCE:{visit.sequence}"
    yield f"STATUS:{visit.status}"
    yield f"DTSTART{_local(visit.start, visit.zone)}"
    yield f"DTEND{_local(visit.end, visit.zone)}"
    yield f"SUMMARY:{_escaped(_line(visit.summary))}"
    if visit.description:
        yield f"DESCRIPTION:{_escaped(_clean(visit.description))}"
    if visit.place:
        yield f"LOCATION:{_escaped(_line(visit.place))}"
    if _is_link(visit.url):
        yield f"URL:{visit.url}"
    yield "TRANSP:TRANSPARENT" if visit.status == "CANCELLED" else "TRANSP:OPAQUE"
    # Marks what is ours, so that a calendar that sends it back does not make it a busy time of its own.
    yield "X-SALAM-SOURCE:appointment"
    if visit.organizer:
        yield f"ORGANIZER{_address(visit.organizer)}"
    for person in visit.attendees:
        accepted = "ACCEPTED" if visit.status == "CONFIRMED" else "NEEDS-ACTION"
        yield f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT={accepted}{_address(person)}"
    yield "END:VEVENT"


def _local(moment: datetime, zone: str) -> str:
    """What follows the name of a property that is a time."""
    if zone == "UTC":
        return f":{in_zone(moment, UTC).strftime(_UTC)}"
    return f";TZID={zone}:{in_zone(moment, ZoneInfo(zone)).strftime('%Y%m%dT%H%M%S')}"


def _address(person: Person) -> str:
    known = _ADDRESS.match(person.email)
    # RFC 5545 wants a URI; who has no address is named by one that reaches nobody (RFC 2606).
    email = person.email if known else "nobody@invalid.invalid"
    name = _line(person.name).replace('"', "'")
    return f';CN="{name}":mailto:{email}'


def _escaped(text: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc5545#section-3.3.11"""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(lines: Iterable[str]) -> bytes:
    """Lines of at most 75 bytes, cut between characters. https://www.rfc-editor.org/rfc/rfc5545#section-3.1"""
    out = bytearray()
    for line in lines:
        text = line.encode()
        room = _WIDTH
        while len(text) > room:
            cut = room
            while text[cut] & 0xC0 == 0x80:
                cut -= 1
            out += text[:cut] + b"\r\n "
            # The space that says that a line goes on counts.
            text, room = text[cut:], _WIDTH - 1
        out += text + b"\r\n"
    return bytes(out)


def _clean(text: str) -> str:
    """Text without control characters; line breaks stay."""
    return _CONTROL.sub(" ", _LINES.sub("\n", text)).strip()


def _line(text: str) -> str:
    return " ".join(_clean(text).split())


def _is_link(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and " " not in url
