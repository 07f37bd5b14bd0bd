"""Code systems, value sets and concept maps as resources: what a request brings along, and what the tenant stores."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance import canonicals
from fhir_server.conformance.canonicals import Canonicals
from fhir_server.storage.definitions import DefinitionRow

_NO_SUPPLEMENTS: Sequence[DefinitionRow] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A definition. `key` tells its content apart from every other; None: it was given for one request."""

    resource: Mapping[str, Any]
    key: Hashable | None


class Resources:
    """The definitions of one piece of work: those given come before those of the tenant.

    `tenant` finds what the tenant stores; `may_read` says of which of it the caller may know.
    """

    def __init__(
        self,
        tenant: canonicals.Definitions | None = None,
        tenant_id: int = 0,
        may_read: Callable[[str, DefinitionRow], bool] = lambda resource_type, row: True,
        given: Sequence[Held] = (),
    ) -> None:
        self._tenant = tenant
        self._tenant_id = tenant_id
        self._may_read = may_read
        self._given = given

    def find(self, resource_type: str, canonical: str) -> Held | None:
        """A definition by `url` or `url|version`; None when there is none, or none that the caller may know of."""
        url, _, version = canonical.partition("|")
        for held in self._given:
            resource = held.resource
            named = resource.get("resourceType", resource_type) == resource_type and resource.get("url") == url
            if named and (not version or is_version(resource.get("version"), version)):
                return held
        row = self._tenant.canonicals.find(resource_type, canonical) if self._tenant and url else None
        return None if row is None else self._held(resource_type, row)

    def every(self, resource_type: str) -> Iterator[Held]:
        """The definitions of a type, the best one of each url."""
        yield from (held for held in self._given if held.resource.get("resourceType") == resource_type)
        for row in self._tenant.canonicals.all(resource_type) if self._tenant else ():
            held = self._held(resource_type, row)
            if held is not None:
                yield held

    def supplements(self, url: str, version: str | None) -> list[Held]:
        """The supplements of a code system, those that name its version or none."""
        rows = _supplements(self._tenant.canonicals).get(url, _NO_SUPPLEMENTS) if self._tenant else ()
        found = [held for held in self._given if held.resource.get("supplements", "").partition("|")[0] == url]
        found += [held for row in rows if (held := self._held("CodeSystem", row)) is not None]
        return [held for held in found if _adds_to(held.resource.get("supplements", ""), version)]

    def _held(self, resource_type: str, row: DefinitionRow) -> Held | None:
        if self._tenant is None or not self._may_read(resource_type, row):
            return None
        body = self._tenant.body(row)
        return None if body is None else Held(body, (self._tenant_id, row.rid, row.revision))


def is_version(held: str | None, asked: str) -> bool:
    """Whether a version is the one asked for, which may be its beginning (`1.0` for `1.0.3`, an edition for its
    releases)."""
    return held is not None and (held == asked or held.startswith((f"{asked}.", f"{asked}/")))


def _adds_to(supplements: str, version: str | None) -> bool:
    named = supplements.partition("|")[2]
    return not named or version is None or is_version(version, named)


# Of every picture of a tenant's definitions: its supplements by the url of what they add to.
_known: WeakKeyDictionary[Canonicals, Mapping[str, Sequence[DefinitionRow]]] = WeakKeyDictionary()


def _supplements(held: Canonicals) -> Mapping[str, Sequence[DefinitionRow]]:
    found = _known.get(held)
    if found is None:
        sorted_out: dict[str, list[DefinitionRow]] = {}
        for row in held.all("CodeSystem"):
            if row.kind == "supplement" and row.status != "retired":
                sorted_out.setdefault(row.subject.partition("|")[0], []).append(row)
        found = _known[held] = sorted_out
    return found
