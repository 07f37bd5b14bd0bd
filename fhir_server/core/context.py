"""What a request or task knows: whose data, on whose behalf, under which definitions, through which connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fhir_server.core import clock
from fhir_server.core.errors import Issue

if TYPE_CHECKING:
    from fhir_server.conformance.registry import Registry
    from fhir_server.security.scopes import Scopes
    from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer's world. `id` leads every key; `slug` stands in the URL; `zone` is the IANA zone of bare dates;
    `has_consents`: there are consent rules; `settings`: what the operator chose for it."""

    id: int
    slug: str
    name: str
    zone: str = "UTC"
    has_consents: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def language(self) -> str:
        """The language of its pages where nobody asks for another; "" when none was chosen."""
        return str(self.settings.get("language", ""))


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. `fhir_user`: `Practitioner/1` and the like; `patients`: ids of the patients whose
    record it is, or for whom the person acts."""

    id: str
    role: str
    fhir_user: str | None = None
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `token_hash` is None only for work that the server does by itself (load, jobs, demo data).

    `stamp`: the state of the token's rights that this picture was taken at; `patient`: id of the patient in the launch
    context; `purpose`: code of v3-PurposeOfUse; `auth_time`: when the user signed in, `opened`: patients whose record
    the user opened by break-glass and until when (seconds since 1970);
    `acts_for`: the caller on whose behalf the server itself asks, who is the one named in the audit log;
    `memo`: what was computed from it, by whom it concerns.
    """

    client_id: str
    scopes: Scopes
    token_hash: bytes | None
    stamp: int = 0
    token_id: str = ""
    user: User | None = None
    patient: str | None = None
    purpose: str = "TREAT"
    auth_time: int | None = None
    opened: tuple[tuple[str, int], ...] = ()
    acts_for: Principal | None = None
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


# What a feature checks when a client writes a resource of some type itself: (context, content before, content after),
# each None where there is none. It gives what is wrong, or raises.
Guard = Callable[["Context", dict[str, Any] | None, dict[str, Any] | None], Sequence[Issue]]


@dataclass(slots=True)
class Context:
    """First argument of every interaction. `base` is `http(s)://host/t/{tenant}/fhir` without a closing slash; `now`
    is the time of the request; `acting`: this is the server's own part of an operation, which may change what clients
    may not; `importing`: a bulk load, which keeps what happened elsewhere even where it breaks a rule of booking;
    `guards`: by type, what features check of plain writes; `notes`: what there is to say of the resource that was
    written last, for a client that asks for an OperationOutcome (None: nobody asks); `memo`: what was made for the
    request and is used again in it."""

    tenant: Tenant
    principal: Principal
    registry: Registry
    db: Session
    base: str
    cursor_key: bytes
    lenient: bool = False
    request_id: str = ""
    now: datetime = field(default_factory=clock.now)
    acting: bool = False
    importing: bool = False
    guards: Mapping[str, Sequence[Guard]] = field(default_factory=dict)
    notes: list[Issue] | None = None
    memo: dict[Any, Any] = field(default_factory=dict)
