"""Which resource each entry of a transaction is about, before anything is written.

https://hl7.org/fhir/R4/http.html#trules: when two entries are about the same resource, the transaction fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Invalid, NotFound
from fhir_server.interactions.conditional import find_one
from fhir_server.interactions.search import Match
from fhir_server.interactions.stage import new_id
from fhir_server.rest.entries import Entry
from fhir_server.security import policy


@dataclass(slots=True)
class Identity:
    """`fresh`: the server chose the id. `match`: what the entry's condition found; `matched_create`: a conditional
    create that therefore does nothing (also when an earlier entry of the Bundle creates the same)."""

    type: str
    id: str
    fresh: bool = False
    match: Match | None = None
    matched_create: bool = False

    @property
    def local(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


def settle(ctx: Context, entries: Sequence[Entry], deleted: Mapping[str, Entry]) -> list[Identity]:
    """The identity of each POST, PUT or PATCH entry, in order. `deleted`: the entry that deleted a `Type/id`.

    Raises when two are the same or a condition is not clear.
    """
    seen = dict(deleted)
    created: dict[tuple[str, str], Identity] = {}
    found = []
    for entry in entries:
        try:
            identity = _identity(ctx, entry, created)
        except FhirError as error:
            raise entry.blame(error) from None
        found.append(identity)
        if identity.matched_create:
            continue
        claim(seen, identity.local, entry)
    return found


def claim(seen: dict[str, Entry], local: str, entry: Entry) -> None:
    """Note that the entry is about this resource. Raises `Invalid` when another one is already."""
    other = seen.setdefault(local, entry)
    if other is not entry:
        raise Invalid(
            f"{other.path} and {entry.path} are about the same resource; a transaction may change it once.",
            expression=f"{entry.path}.request.url",
        )


def _identity(ctx: Context, entry: Entry, created: dict[tuple[str, str], Identity]) -> Identity:
    name, _, resource_id = entry.request.path.partition("/")
    resource = entry.request.resource
    if name not in ctx.registry.type_ids:
        raise NotFound("The url names no resource type of FHIR R4.", expression="request.url", code="not-supported")
    if entry.request.method == "POST":
        if resource_id:
            raise Invalid("The url of a POST is a resource type.", expression="request.url")
        return _posted(ctx, name, entry.request.header("if-none-exist"), created)
    if resource_id:
        return Identity(name, resource_id)
    match = find_one(ctx, name, entry.request.query)
    if match is None and entry.request.method == "PATCH":
        raise NotFound(f"No {name} meets the condition.", expression="request.url")
    if match is not None:
        return Identity(name, match.id, match=match)
    given = resource.get("id")
    return Identity(name, given) if isinstance(given, str) else Identity(name, new_id(), fresh=True)


def _posted(
    ctx: Context, name: str, condition: str | None, created: dict[tuple[str, str], Identity]
) -> Identity:
    if condition is None:
        return Identity(name, new_id(), fresh=True)
    if (name, condition) in created:
        first = created[name, condition]
        raise Invalid(
            f"Another entry creates {first.type} under the same ifNoneExist condition.",
            expression="request.ifNoneExist",
        )
    policy.allow(ctx, "create", name)
    query = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
    match = find_one(ctx, name, query)
    if match is not None:
        return Identity(name, match.id, match=match, matched_create=True)
    identity = created[name, condition] = Identity(name, new_id(), fresh=True)
    return identity
