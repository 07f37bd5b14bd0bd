"""A waiting room with a board and a kiosk, which call the server as what they are."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security import devices
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import access_tokens
from fhir_server.storage import devices as rows
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter
from tests.features.queue.place import plain
from tests.rest.bodies import mark

KIND = "urn:salam:CodeSystem:device-kind"
_VALUES = {"queue": "Reference", "birthDate": "Date", "language": "Code"}


def device(kind: str, location: str, **settings: Any) -> dict[str, Any]:
    """A Device of a waiting room."""
    parts = [{"url": name, **value} for name, values in settings.items() for value in values]
    extension = [{"url": "urn:salam:StructureDefinition:waiting-room", "extension": parts}] if parts else []
    return {
        "resourceType": "Device", "status": "active", "type": {"coding": [{"system": KIND, "code": kind}]},
        "deviceName": [{"name": f"The {kind}", "type": "user-friendly-name"}], "location": {"reference": location},
        **({"extension": extension} if extension else {}),
    }  # fmt: skip


def signed_in(tenant: TestTenant, staff: Client, kind: str, location: str, **settings: Any) -> tuple[str, Client]:
    """The id of a new device, and a client with a token such as its pages have."""
    made = staff.create(device(kind, location, **settings))["id"]
    answer = staff.post(f"Device/{made}/$pair")
    assert answer.status == 200, answer.text
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(tenant.id, None, place.version)
    assert devices.pair(db, tenant.id, plain(answer.json)["code"], agent="Tests", address="192.0.2.1", replaces=None)
    user = rows.account_of(db, tenant.id, f"Device/{made}")
    assert user is not None
    token = secrets.token_urlsafe(32)
    save = access_tokens.save(
        tenant.id, token_digest(token), scope="user/*.cruds", client_id="tests", seconds=3600,
        token_id=uuid.uuid4().hex, user_id=user,
    )  # fmt: skip
    db.run([save], final=True)
    db.commit()
    return made, Client(tenant.slug, token)


@dataclass(slots=True)
class Room:
    """A site with one queue, a board and a kiosk."""

    tenant: TestTenant
    staff: Client
    site: str = ""
    counter: Counter = field(init=False)
    board: Client = field(init=False)
    kiosk: Client = field(init=False)
    board_id: str = field(init=False)
    kiosk_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.site = f"Location/{self.staff.create({'resourceType': 'Location', 'name': 'Maârif'})['id']}"
        self.counter = Counter(self.staff, self.tenant.id, more={"location": [{"reference": self.site}]})
        self.board_id, self.board = signed_in(self.tenant, self.staff, "board", self.site)
        self.kiosk_id, self.kiosk = signed_in(self.tenant, self.staff, "kiosk", self.site)

    def look(self, stamp: str = "") -> dict[str, Any]:
        """What the board sees: values by name; `queues` and `calls` as lists."""
        path = f"Device/{self.board_id}/$waiting-room" + (f"?stamp={stamp}" if stamp else "")
        answer = self.board.get(path)
        assert answer.status == 200, answer.text
        return shown(answer.json)

    def ask(self, *, by: Client | None = None, key: str = "", **given: Any) -> Answer:
        """What somebody says to the kiosk."""
        entries = [
            {"name": name, f"value{_VALUES.get(name, 'String')}": {"reference": v} if name == "queue" else v}
            for name, v in given.items()
        ]
        body = {"resourceType": "Parameters", "parameter": entries} if entries else None
        headers = {"idempotency_key": key} if key else {}
        return (by or self.kiosk).post(f"Device/{self.kiosk_id}/$self-check-in", body, **headers)

    def slip(self, **given: Any) -> dict[str, Any]:
        """The ticket that the kiosk must give."""
        answer = self.ask(**given)
        assert answer.status == 200, answer.text
        return plain(answer.json)

    def patient(self, phone: str, born: str = "1980-03-02", **more: Any) -> str:
        """`Patient/id` of somebody with a phone."""
        made = {"resourceType": "Patient", "name": [{"family": mark()}], "birthDate": born,
                "telecom": [{"system": "phone", "value": phone}], **more}  # fmt: skip
        return f"Patient/{self.staff.create(made)['id']}"

    def booked(self, who: str, start: datetime, **more: Any) -> dict[str, Any]:
        """An Appointment in this room's queue."""
        return self.counter.appointment(who, start, **more)


def shown(parameters: dict[str, Any]) -> dict[str, Any]:
    """A `$waiting-room` as values."""
    found: dict[str, Any] = {"queues": [], "calls": [], "languages": []}
    for entry in parameters["parameter"]:
        name = entry["name"]
        if name in ("queue", "call"):
            found[f"{name}s"].append(plain(entry))
        elif name == "language":
            found["languages"].append(entry["valueCode"])
        else:
            found[name] = next(v for k, v in entry.items() if k.startswith("value"))
    return found
