"""What a request or task knows: whose data, on whose behalf, under which definitions, through which connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhir_server.core.errors import Issue

if TYPE_CHECKING:
    from fhir_server.conformance.registry import Registry
    from fhir_server.security.scopes import Scopes
    from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer's world. `id` leads every key; `slug` stands in the URL; `zone` is the IANA zone of bare dates."""

    id: int
    slug: str
    name: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `token_hash` is None only for work that the server does by itself (load, jobs, demo data)."""

    client_id: str
    scopes: Scopes
    token_hash: bytes | None


@dataclass(slots=True)
class Context:
    """First argument of every interaction. `base` is `http(s)://host/t/{tenant}/fhir` without a closing slash."""

    tenant: Tenant
    principal: Principal
    registry: Registry
    db: Session
    base: str
    cursor_key: bytes
    lenient: bool = False
    notes: list[Issue] = field(default_factory=list)
