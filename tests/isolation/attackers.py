"""What the isolation tests share: answers made comparable, tokens of users, one example of every resource type."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import access_tokens, accounts, oauth_grants
from fhir_server.storage.accounts import Account
from fhir_server.validation.run import check
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.shared_data import examples

# What differs between two equal requests: moments, ids that the server chose, and the place in a walk.
_MOVING = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
    rb"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    rb"|(?<=_cursor=)[A-Za-z0-9_-]+"
)
# Headers that tell the moment or the request, and the length, which the masked body has already told.
_OF_THE_MOMENT = frozenset({"x-request-id", "last-modified", "date", "content-length"})
Shown = tuple[int, tuple[tuple[str, str], ...], bytes]


def shown(answer: Answer, *names: str) -> Shown:
    """Status, headers and body of an answer with `names` (the ids asked for) and what must differ masked."""
    headers = sorted((k.lower(), _masked(v.encode(), names).decode()) for k, v in answer.headers.items())
    kept = tuple(pair for pair in headers if pair[0] not in _OF_THE_MOMENT)
    length = answer.headers.get("Content-Length")
    assert length is None or not answer.body or int(length) == len(answer.body)
    return answer.status, kept, _masked(answer.body, names)


def _masked(text: bytes, names: Sequence[str]) -> bytes:
    for name in names:
        text = text.replace(name.encode(), b"<id>")
    return _MOVING.sub(b"<moving>", text)


@dataclass(frozen=True, slots=True)
class Person:
    """An account with a token. `change` gives it another role at once."""

    tenant: TestTenant
    id: str
    client: Client

    def change(self, role: str, patients: Sequence[str] = (), fhir_user: str | None = None) -> None:
        """Give the account another role and other patients, as user administration does."""
        db = session()
        place = refresh(db, self.tenant.slug)
        db.enter(self.tenant.id, None, place.version)
        rights = accounts.set_rights(self.tenant.id, self.id, role, fhir_user, tuple(patients))
        db.run([rights, access_tokens.raise_stamps(self.tenant.id, self.id)], final=True)


def person(
    tenant: TestTenant,
    role: str,
    scope: str,
    *,
    patients: Sequence[str] = (),
    fhir_user: str | None = None,
    patient: str | None = None,
) -> Person:
    """A user with a role and a token of this scope. `patient`: the launch context's."""
    user_id, value = uuid.uuid4().hex, uuid.uuid4().hex
    account = Account(
        user_id, user_id, f"{user_id}@example.org", "", "", role, fhir_user, tuple(patients), "active", None, True,
        None, 0, 0, "",
    )  # fmt: skip
    statements = [accounts.insert(tenant.id, account)]
    grant_id = None
    if patient is not None:
        grant_id = uuid.uuid4().hex
        statements.append(
            oauth_grants.open_grant(
                tenant.id, grant_id, client_id="tests", user_id=user_id, session_hash=None, scope=scope,
                context={"patient": patient}, purpose="TREAT", nonce=None, amr=(), auth_time=None,
            )
        )  # fmt: skip
    statements.append(
        access_tokens.save(
            tenant.id, token_digest(value), scope=scope, client_id="tests", seconds=3600, token_id=uuid.uuid4().hex,
            grant_id=grant_id, user_id=user_id,
        )
    )  # fmt: skip
    db = session()
    db.enter(tenant.id, None, refresh(db, tenant.slug).version)
    db.run(statements, final=True)
    return Person(tenant, user_id, Client(tenant.slug, value))


# Of these the official examples are none, or none that is valid R4.
_WITHOUT_EXAMPLE: list[dict[str, Any]] = [
    {"resourceType": "DeviceMetric", "type": {"text": "x"}, "category": "measurement"},
    {
        "resourceType": "DeviceUseStatement", "status": "active", "subject": {"reference": "Patient/example"},
        "device": {"reference": "Device/example"},
    },
    {"resourceType": "EventDefinition", "status": "draft", "trigger": [{"type": "named-event", "name": "x"}]},
    {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "x"}]},
    *[
        {"resourceType": f"Substance{kind}"}
        for kind in ("NucleicAcid", "Polymer", "Protein", "ReferenceInformation", "SourceMaterial")
    ],
]  # fmt: skip


@cache
def one_of_each() -> dict[str, dict[str, Any]]:
    """A resource of each type that can be stored, by type: the shortest official example that is valid, if there is one.

    AuditEvents cannot: they are made from the audit log.
    """
    registry, found = base_registry(), {str(each["resourceType"]): each for each in _WITHOUT_EXAMPLE}
    for text in sorted((text for _, text in examples()), key=len):
        name = msgspec.json.decode(text).get("resourceType")
        if name in registry.type_ids and name not in (*found, "AuditEvent"):
            resource = decode(text.encode())
            if not any(issue.severity in ("error", "fatal") for issue in check(registry, resource)):
                found[name] = resource
    return dict(sorted(found.items()))


def put_all(client: Client, resources: Sequence[dict[str, Any]]) -> None:
    """Store resources under their ids, in batches: every one of them must be accepted."""
    for start in range(0, len(resources), 200):
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources[start : start + 200]
        ]
        answer = client.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
        assert answer.status == 200, answer.text
        for entry, said in zip(entries, answer.json["entry"], strict=True):
            assert said["response"]["status"][:2] == "20", (entry["request"], said)


def ids_of(answer: Answer) -> set[str]:
    """`Type/id` of what a searchset or history holds; of OperationOutcome entries nothing."""
    assert answer.status == 200, answer.text
    found = [entry.get("resource") for entry in answer.json.get("entry", [])]
    return {f"{each['resourceType']}/{each['id']}" for each in found if each and "id" in each}
