"""What a stream can be about. A topic is a set of index keys; a change concerns it when the resource has one of them,
or had one before the change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Invalid
from fhir_server.core.keys import compartment_key, patient_key, self_key, token_key, type_key
from fhir_server.core.references import ID
from fhir_server.security import policy

MOST = 50
_WHERE = "http.topic"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the client wrote it, and its keys."""

    text: str
    keys: frozenset[int]


def parse(ctx: Context, texts: Sequence[str]) -> tuple[Topic, ...]:
    """The topics of a request. Raises `Invalid` for what is none, `Forbidden` when the token could never see a change
    of one."""
    if not texts:
        raise Invalid(f"Say what the stream is about: topic={'|'.join(_KINDS)}:<id>, repeated.", expression=_WHERE)
    if len(texts) > MOST:
        raise Invalid(f"A stream has {MOST} topics at most.", expression=_WHERE, code="too-long")
    if policy.readable_types(ctx) == frozenset():
        raise Forbidden("The token's scopes do not allow to search any type (needed: a scope with the letter s).")
    return tuple([_topic(ctx, text) for text in dict.fromkeys(texts)])


def _topic(ctx: Context, text: str) -> Topic:
    kind, _, name = text.partition(":")
    make = _KINDS.get(kind)
    if make is None:
        raise Invalid(f"A topic is {_list()}, such as patient:123.", expression=_WHERE, code="value")
    if kind == "type":
        if name not in ctx.registry.type_ids or name == "AuditEvent":
            raise Invalid("type: takes the name of a resource type, such as type:Appointment.", expression=_WHERE)
        policy.allow(ctx, "search", name)
    elif ID.match(name) is None:
        raise Invalid(f"{kind}: takes the id of a resource, such as {kind}:123.", expression=_WHERE, code="value")
    if kind == "queue":
        policy.allow(ctx, "search", "Task")
    return Topic(text, frozenset(make(ctx.registry, name)))


def _list() -> str:
    *others, last = [f"{kind}:" for kind in _KINDS]
    return f"{', '.join(others)} or {last}"


def _queue(registry: Registry, service: str) -> list[int]:
    """Tickets of a queue, and the service itself, which says whether the queue is open."""
    return [token_key("Task", "queue", f"HealthcareService/{service}"), self_key("HealthcareService", service)]


def _patient(registry: Registry, patient: str) -> list[int]:
    return [patient_key(patient)]


def _practitioner(registry: Registry, practitioner: str) -> list[int]:
    kind = "Practitioner"
    types = [name for name, codes in registry.compartments[kind].items() if codes]
    return [compartment_key(kind, practitioner, name) for name in dict.fromkeys([*types, kind])]


def _type(registry: Registry, name: str) -> list[int]:
    return [type_key(name)]


_KINDS: Mapping[str, Callable[[Registry, str], list[int]]] = {
    "queue": _queue,
    "patient": _patient,
    "practitioner": _practitioner,
    "type": _type,
}
