"""A visitor without account, as a booking page or a widget is one: looks, holds, says who he is, proves it."""

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_server.features.notifications.draft import Draft
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security import guests
from fhir_server.security.mailing import Letter
from fhir_server.security.sealing import unseal
from tests.client import Answer, Client
from tests.features.scheduling.clinic_day import Practice, in_days, matched, named, parameter

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@dataclass(slots=True)
class Visitor:
    """A browser without account at a tenant."""

    tenant: "TestTenant"
    holder: bytes = field(default_factory=guests.new_holder)
    address: str = field(default_factory=lambda: f"203.0.{secrets.randbelow(250)}.{secrets.randbelow(250)}")

    @property
    def client(self) -> Client:
        """With the visitor's own token."""
        db, place = enter(self.tenant)
        return Client(self.tenant.slug, guests.guest_token(db, place, self.holder, self.address))

    @property
    def looking(self) -> Client:
        """With the token of all who only look."""
        db, place = enter(self.tenant)
        return Client(self.tenant.slug, guests.visitor_token(db, place, self.address))

    @property
    def id(self) -> str:
        """The id of the guest."""
        return guests.guest_id(self.tenant.id, self.holder)

    def hold(self, proposal: str) -> dict[str, Any]:
        """$hold that must succeed."""
        return matched(self.client.post("Appointment/$hold", named(proposal)))

    def register(self, **said: Any) -> Answer:
        """$register; by default of somebody with an e-mail address of his own."""
        if "phone" not in said and "email" not in said:
            said["email"] = f"v{secrets.token_hex(6)}@mail.example"
        words = {"given": "Sara", "family": "Alami", "birthDate": "1990-02-03", "language": "fr", "consent": True, **said}
        return self.client.post("Patient/$register", parameters(words))

    def prove(self, code: str, appointment: str = "", **more: Any) -> Answer:
        """$prove."""
        given: dict[str, Any] = {"code": code, **more}
        if appointment:
            given["appointment-reference"] = {"reference": f"Appointment/{appointment}"}
        return self.client.post("Patient/$prove", parameters(given))


def parameters(values: dict[str, Any]) -> dict[str, Any]:
    """A Parameters resource; what has no value is left out."""
    codes = ("gender", "language")
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "valueCode": value} if name in codes else parameter(name, value)
            for name, value in values.items()
            if value is not None
        ],
    }


def out(answer: Answer) -> dict[str, Any]:
    """The values of the answering Parameters by name."""
    assert answer.status == 200, answer.text
    return {
        each["name"]: each.get("resource") or next(value for name, value in each.items() if name.startswith("value"))
        for each in answer.json["parameter"]
    }


def enter(tenant: "TestTenant") -> tuple[Any, Any]:
    """The database session in the tenant, and the tenant."""
    db = session()
    place = refresh(db, tenant.slug)
    db.enter(place.tenant.id, None, place.version)
    return db, place.tenant


def sql(tenant: "TestTenant", statement: str, *params: Any) -> list[tuple[bytes | None, ...]]:
    """Run a statement in the tenant ($1 is the tenant)."""
    db, _ = enter(tenant)
    rows: list[tuple[bytes | None, ...]] = db.run([(statement, (tenant.id, *params))], final=True)[0]
    return rows


def mails(tenant: "TestTenant") -> list[Letter]:
    """The letters that wait or went out, oldest first, opened."""
    rows = sql(tenant, "SELECT encode(sealed, 'hex') FROM mail WHERE tenant_id = $1 ORDER BY mail_id")
    return [msgspec.json.decode(_open(tenant, row[0], "mail"), type=Letter) for row in rows]


def texts(tenant: "TestTenant") -> list[Draft]:
    """The codes by SMS, oldest first."""
    found = "SELECT encode(sealed, 'hex') FROM message WHERE tenant_id = $1 AND kind = 'code' AND sealed <> '' ORDER BY message_id"
    return [msgspec.json.decode(_open(tenant, row[0], "message"), type=Draft) for row in sql(tenant, found)]


def code_for(tenant: "TestTenant", address: str) -> str:
    """The six digits of the newest message to an address."""
    if "@" in address:
        body = [each.body for each in mails(tenant) if each.to == address][-1]
    else:
        body = [each.text for each in texts(tenant) if each.address == address][-1]
    found = re.search(r"\b(\d{6})\b", body)
    assert found
    return found[1]


def _open(tenant: "TestTenant", hexed: bytes | None, purpose: str) -> bytes:
    db, _ = enter(tenant)
    found: bytes = unseal(db, tenant.id, bytes.fromhex((hexed or b"").decode()), purpose)
    db.commit()
    return found


def fresh() -> str:
    """An e-mail address that nobody has."""
    return f"v{secrets.token_hex(6)}@mail.example"


def mobile() -> str:
    """A Moroccan mobile number that nobody has."""
    return f"+21261{secrets.randbelow(10**7):07d}"


def holding(visitor: Visitor, times: Practice, days: int = 3) -> dict[str, Any]:
    """The Appointment that a visitor holds now."""
    return visitor.hold(times.proposal(in_days(days), visitor.client)["id"])
