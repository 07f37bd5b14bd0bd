"""A town's practices to find times in: services, practitioners, rooms, and what $find answers."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from tests.client import Answer, Client
from tests.rest.bodies import mark

PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
_MINUTES = frozenset({"bufferBefore", "bufferAfter", "alignmentOffset", "minNotice", "cancelCutoff"})
_KINDS = {"timezone": "Code", "holidays": "Code", "onlineBooking": "Boolean", "eligibility": "String", "price": "Money"}
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours(opens: str | None, closes: str | None, *days: str, **period: str) -> dict[str, Any]:
    """Weekly hours: `hours("09:00", "12:00", "mon")`; no days: every day."""
    parts: list[dict[str, Any]] = [{"url": "day", "valueCode": day} for day in days]
    parts += [{"url": name, "valueTime": f"{at}:00"} for name, at in (("start", opens), ("end", closes)) if at]
    parts += [{"url": "period", "valuePeriod": period}] if period else []
    return {"url": "available", "extension": parts or [{"url": "day", "valueCode": day} for day in WEEK]}


def rules(*parts: dict[str, Any], of: str | None = None, **values: Any) -> dict[str, Any]:
    """The scheduling-parameters extension. `of`: for this service."""
    found = [{"url": "service", "valueReference": {"reference": of}}] if of else []
    for name, value in values.items():
        kind = _KINDS.get(name) or ("UnsignedInt" if name in _MINUTES else "PositiveInt")
        found.append({"url": name, f"value{kind}": value})
    return {"url": PARAMETERS, "extension": [*found, *parts]}


def closed(start: str, end: str) -> dict[str, Any]:
    """A closure."""
    return {"url": "closed", "extension": [{"url": "period", "valuePeriod": {"start": start, "end": end}}]}


def extra(start: str, end: str) -> dict[str, Any]:
    """Once open besides."""
    return {"url": "extra", "valuePeriod": {"start": start, "end": end}}


def reserve(number: int, release: int) -> dict[str, Any]:
    """Visits kept for emergencies."""
    parts = [{"url": "perDay", "valuePositiveInt": number}, {"url": "releaseMinutes", "valuePositiveInt": release}]
    return {"url": "emergencyReserve", "extension": parts}


def needs(*schedules: str, role: str = "room") -> dict[str, Any]:
    """One of these Schedules is needed besides."""
    chosen = [{"url": "schedule", "valueReference": {"reference": name}} for name in schedules]
    return {"url": "resource", "extension": [{"url": "role", "valueCode": role}, *chosen]}


def make(client: Client, kind: str, **content: Any) -> str:
    """`Type/id` of a new resource."""
    return f"{kind}/{client.create({'resourceType': kind, **content})['id']}"


def service(client: Client, *parts: dict[str, Any], **values: Any) -> str:
    """A service that can be booked online, half an hour, with a type of its own."""
    content = {name: values.pop(name) for name in list(values) if name in _ELEMENTS}
    defaults = {"duration": 30, "onlineBooking": True, "timezone": "UTC"}
    return make(client, "HealthcareService", active=True, name=f"Service {mark()}",
                extension=[rules(*parts, **{**defaults, **values})], **content)  # fmt: skip


_ELEMENTS = frozenset(
    {"type", "specialty", "providedBy", "location", "availableTime", "notAvailable", "characteristic"}
)


def doctor(client: Client) -> str:
    """A practitioner."""
    return make(client, "Practitioner", name=[{"family": mark()}])


def agenda(client: Client, actor: str, *extensions: dict[str, Any], **content: Any) -> str:
    """A Schedule of one actor."""
    more = {"extension": list(extensions)} if extensions else {}
    return make(client, "Schedule", **{"active": True, "actor": [{"reference": actor}], **more, **content})


def code(text: str) -> list[dict[str, Any]]:
    """CodeableConcepts with a code of the test's system."""
    return [{"coding": [{"system": "urn:test", "code": text}]}]


def busy(client: Client, schedule: str, start: str, end: str, *, status: str = "busy") -> str:
    """A Slot that takes time."""
    return make(client, "Slot", schedule={"reference": schedule}, status=status, start=start, end=end)


def find(client: Client, start: str, end: str, **more: Any) -> Answer:
    """$find by GET. `_` in names stands for `-`, but for `_count`."""
    pairs = [("start", start), ("end", end)]
    for name, value in more.items():
        name = name if name.startswith("_") else name.replace("_", "-")
        pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
    return client.get(f"Appointment/$find?{urlencode(pairs)}")


def proposals(answer: Answer) -> list[dict[str, Any]]:
    """The proposed Appointments, in order."""
    assert answer.status == 200, answer.text
    return [each["resource"] for each in answer.json.get("entry", ()) if each["search"]["mode"] == "match"]


def starts(answer: Answer) -> list[str]:
    """When they begin, as written."""
    return [each["start"] for each in proposals(answer)]


def notes(answer: Answer) -> list[str]:
    """The codes of what the answer says besides."""
    assert answer.status == 200, answer.text
    found = [each["resource"]["issue"] for each in answer.json.get("entry", ()) if each["search"]["mode"] == "outcome"]
    return [issue["details"].get("coding", [{"code": issue["code"]}])[0]["code"] for each in found for issue in each]


def coming(weekday: str = "mon", zone: str = "UTC") -> date:
    """That day of the week, one to two weeks ahead."""
    today = datetime.now(ZoneInfo(zone)).date()
    return today + timedelta(days=7 + (WEEK.index(weekday) - today.weekday()) % 7)


DAY = coming("mon").isoformat()
NEXT = (coming("mon") + timedelta(days=1)).isoformat()


def at(*times: str, day: str = DAY) -> list[str]:
    """These times of the Monday to come, as instants."""
    return [f"{day}T{time}:00Z" for time in times]


def one(client: Client, *parts: dict[str, Any], **values: Any) -> tuple[str, str, str]:
    """A service, a doctor who gives it from 9 to 11 on Mondays and Tuesdays, and his Schedule."""
    offered = service(client, **values)
    who = doctor(client)
    return offered, who, agenda(client, who, rules(hours("09:00", "11:00", "mon", "tue"), *parts, of=offered))


def asked(**values: Any) -> dict[str, Any]:
    """The input of $find as a Parameters resource."""
    kinds = {"start": "valueDateTime", "end": "valueDateTime", "practitioner": "valueReference", "timing": "valueTiming",
             "referral-identifier": "valueIdentifier", "reason": "valueString", "insurance-reference": "valueReference"}  # fmt: skip
    return {"resourceType": "Parameters", "parameter": [{"name": n, kinds[n]: v} for n, v in values.items()]}
