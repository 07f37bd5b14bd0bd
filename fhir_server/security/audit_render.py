"""From a row of the audit log to an AuditEvent that follows the patterns of IHE BALP 1.1.

One event stands for one request: a search that showed several patients is one AuditEvent with several patient
entities (and then only the profile without a patient is claimed). https://profiles.ihe.net/ITI/BALP/
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.dates import format_instant
from fhir_server.security.audit_events import CLIENT, USER, Kind, by_number, roles_of
from fhir_server.security.audit_text import narrative
from fhir_server.storage.audit_log import Logged, Names
from fhir_server.storage.clock import micros

MOST_ENTITIES = 100
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_PERSON = {"system": _ENTITY, "code": "1", "display": "Person"}
_OBJECT = {"system": _ENTITY, "code": "2", "display": "System Object"}
_PATIENT = {"system": _ROLE, "code": "1", "display": "Patient"}
_RESOURCE = {"system": _ROLE, "code": "4", "display": "Domain Resource"}
_QUERY = {"system": _ROLE, "code": "24", "display": "Query"}
_ACCOUNT = {"system": _ROLE, "code": "11", "display": "Security User Entity"}
_OTHER = {"system": _ENTITY, "code": "4", "display": "Other"}
# Details that have a place of their own in an AuditEvent.
_PLACED = frozenset({"account", "address", "patient", "query", "reason"})
_REQUEST = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
_SERVER = {
    "system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4",
    "display": "Application Server",
}  # fmt: skip
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_UNKNOWN = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}
_PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
TOKEN = "urn:ietf:params:oauth:jti:"


@dataclass(frozen=True, slots=True)
class View:
    """What the reader gets to see, and what the rows refer to. `patients`: ids by rid; `own`: the reader sees only
    what is about these patients (None: everything); `detail`: the unsealed details by (xid, seq), if he may see them;
    `language`: tell it to a person, in this language and with people's names ("": for machines)."""

    base: str
    site: str
    names: Names
    type_names: Mapping[int, str]
    patients: Mapping[int, Sequence[str]]
    own: frozenset[str] | None = None
    detail: Mapping[tuple[int, int], Mapping[str, Any]] = field(default_factory=dict)
    language: str = ""


def event_id(row: Logged) -> str:
    """The id of the AuditEvent of a row."""
    return f"a-{row.xid}-{row.seq}"


def place_of(id_: str) -> tuple[int, int] | None:
    """(xid, seq) of an AuditEvent's id; None for what is none."""
    parts = id_.split("-")
    if len(parts) != 3 or parts[0] != "a" or not all(p.isascii() and p.isdigit() and len(p) < 20 for p in parts[1:]):
        return None
    return int(parts[1]), min(int(parts[2]), 2**63 - 1)


def render(row: Logged, view: View) -> dict[str, Any]:
    """The AuditEvent of a row."""
    kind = by_number()[row.event]
    detail = view.detail.get((row.xid, row.seq), {})
    rids = [rid for rid in dict.fromkeys(row.rids) if view.own is None or view.own & set(view.patients.get(rid, ()))]
    patients = _patients(view, rids, detail)
    entities = [*_data(row, view, kind, rids, detail), *[_of_patient(each) for each in patients]]
    if row.request_id:
        entities.append({"what": {"identifier": {"value": row.request_id}}, "type": _REQUEST})
    query = _query(kind, detail)
    if query is not None:
        entities.append(query)
    if kind.type["code"] != "rest" and not view.language:
        entities += _told(detail)
    recorded = format_instant(micros(row.seq))
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": event_id(row),
        "meta": {"versionId": "1", "lastUpdated": recorded},
        "type": dict(kind.type),
        "subtype": [dict(kind.subtype)],
        "action": kind.action,
        "recorded": recorded,
        "outcome": str(row.outcome),
    }
    profile = _profile(kind, row, rids, patients, query)
    if profile:
        event["meta"]["profile"] = [_PROFILE + profile]
    if detail.get("reason"):
        event["outcomeDesc"] = str(detail["reason"])
    if row.purpose:
        event["purposeOfEvent"] = [_purpose(row.purpose)]
    event["agent"] = _agents(row, view, kind, detail)
    event["source"] = {"site": view.site, "observer": _who_server(view), "type": [_SERVER]}
    if entities:
        event["entity"] = entities
    if view.language:
        event["language"] = view.language
        event["text"] = narrative(event, kind, row.purpose, view.language)
    return event


def _profile(
    kind: Kind, row: Logged, rids: Sequence[int], patients: Sequence[str], query: dict[str, Any] | None
) -> str:
    """The BALP profile that the event meets, if it meets one: they are for what succeeded and is shown whole."""
    if not kind.pattern or row.outcome != 0 or not row.client_id:
        return ""
    if (kind.pattern == "Query" and query is None) or (kind.pattern != "Query" and len(rids) != 1):
        return ""
    return f"Patient{kind.pattern}" if len(patients) == 1 else kind.pattern


def _patients(view: View, rids: Sequence[int], detail: Mapping[str, Any]) -> list[str]:
    found = dict.fromkeys(name for rid in rids for name in view.patients.get(rid, ()))
    if isinstance(detail.get("patient"), str):
        found[detail["patient"]] = None
    return [name for name in found if view.own is None or name in view.own]


def _of_patient(patient: str) -> dict[str, Any]:
    return {"what": {"reference": f"Patient/{patient}"}, "type": _PERSON, "role": _PATIENT}


def _data(
    row: Logged, view: View, kind: Kind, rids: Sequence[int], detail: Mapping[str, Any]
) -> list[dict[str, Any]]:
    shown = [_resource(row, view, kind, rid) for rid in rids[:MOST_ENTITIES]]
    if len(rids) > MOST_ENTITIES:
        shown.append({"role": _RESOURCE, "description": f"{len(rids) - MOST_ENTITIES} more resources were shown."})
    asked = "".join(c for c in str(detail.get("what") or "") if c.isprintable()).strip()
    if not rids and asked and kind.type["code"] == "rest" and kind.pattern != "Query":
        shown.append({"what": {"display": asked}, "type": _OBJECT, "role": _RESOURCE})
    return shown


def _resource(row: Logged, view: View, kind: Kind, rid: int) -> dict[str, Any]:
    found = view.names.resources.get(rid)
    name = view.type_names.get(found[0] if found else row.type_id or 0)
    entity: dict[str, Any] = {}
    if found is None:
        entity["what"] = {"type": name, "display": "erased"} if name else {"display": "erased"}
    else:
        version = view.names.versions.get(row.seq) if kind.pattern in ("Create", "Update", "Delete") else None
        entity["what"] = {"reference": f"{name}/{found[1]}" + (f"/_history/{version}" if version else "")}
    # In a query, BALP keeps "System Object" for the query itself.
    if kind.pattern != "Query":
        entity["type"] = _OBJECT
    elif name:
        entity["type"] = {"system": "http://hl7.org/fhir/resource-types", "code": name}
    return {**entity, "role": _RESOURCE}


def _query(kind: Kind, detail: Mapping[str, Any]) -> dict[str, Any] | None:
    query = detail.get("query")
    if not isinstance(query, str) or kind.pattern not in ("Query", "") or not (query or kind.pattern):
        return None
    text = "?".join(part for part in (str(detail.get("what") or ""), query) if part)
    return {"type": _OBJECT, "role": _QUERY, "query": b64encode((text or "/").encode()).decode()}


def _told(detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an event of the authorization server says beside: the account that it is about, and its other facts."""
    found: list[dict[str, Any]] = []
    if isinstance(detail.get("account"), str):
        found.append({"what": {"identifier": {"system": USER, "value": detail["account"]}}, "role": _ACCOUNT})
    facts = {name: value for name, value in detail.items() if name not in _PLACED and value not in (None, "", [])}
    if facts:
        told = [{"type": name, "valueString": _text(value)} for name, value in sorted(facts.items())]
        found.append({"type": _OTHER, "detail": told})
    return found


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _purpose(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _PURPOSE, "code": code}]}


def _agents(row: Logged, view: View, kind: Kind, detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    roles = roles_of(kind.pattern)
    parts = dict(part.partition(":")[::2] for part in row.agent.split())
    user = _user(row, view, parts["user"], roles["user"]) if "user" in parts else None
    agents: list[dict[str, Any]] = []
    network = _network(detail)
    if row.client_id:
        who: dict[str, Any] = {"identifier": {"system": CLIENT, "value": row.client_id}}
        if view.names.clients.get(row.client_id):
            who["display"] = view.names.clients[row.client_id]
        client = {"type": {"coding": [roles["client"]]}, "who": who, "requestor": user is None}
        agents.append({**client, "network": network or _UNKNOWN})
    elif user is not None and network:
        user["network"] = network
    elif user is None and network:
        agents.append({"who": {"display": "unknown"}, "requestor": True, "network": network})
    agents.append(
        {
            "type": {"coding": [roles["server"]]},
            "who": _who_server(view),
            "requestor": user is None and not agents,
            "network": {"address": view.base, "type": "5"},
        }
    )
    if user is not None:
        agents.append(user)
    if "token" in parts and kind.pattern != "Delete":
        # The token stands with the one who asks: the user, or the client that acts for itself. BALP has no place for it
        # in a deletion.
        (user or agents[0])["policy"] = [TOKEN + parts["token"]]
    return agents


def _network(detail: Mapping[str, Any]) -> dict[str, str] | None:
    address = detail.get("address")
    return {"address": address, "type": "2"} if isinstance(address, str) and address else None


def _user(row: Logged, view: View, user_id: str, role: Mapping[str, str]) -> dict[str, Any]:
    account = view.names.users.get(user_id)
    who: dict[str, Any] = {"identifier": {"system": USER, "value": user_id}}
    agent: dict[str, Any] = {"type": {"coding": [role]}, "who": who, "requestor": True}
    if account is not None:
        if account.fhir_user:
            who["reference"] = account.fhir_user
        if account.role:
            agent["role"] = [{"text": account.role}]
        if view.language and account.name:
            agent["name"] = account.name
    if row.purpose:
        agent["purposeOfUse"] = [_purpose(row.purpose)]
    return agent


def _who_server(view: View) -> dict[str, Any]:
    return {"identifier": {"system": "urn:ietf:rfc:3986", "value": view.base}, "display": "Salam"}
