"""Code systems, value sets and concept maps as resources: what a request brings along, and what the tenant stores."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance import canonicals
from fhir_server.conformance.canonicals import Canonicals
from fhir_server.storage.definitions import DefinitionRow
from fhir_server.terminology import dated

# `content` of CodeSystem resources that say nothing of its codes.
WITHOUT_CODES = frozenset({"not-present", "supplement"})
_NO_SUPPLEMENTS: Sequence[DefinitionRow] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A definition. `key` tells its content apart from every other; None: it was given for one request."""

    resource: Mapping[str, Any]
    key: Hashable | None


Load = Callable[[], Held | None]


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

    def find(self, resource_type: str, canonical: str, end: int | None = None) -> Held | None:
        """A definition by `url` or `url|version`; None when there is none, or none that the caller may know of. `end`:
        that of several versions which was in force just before this moment. Raises as `dated.in_force`."""
        url, _, version = canonical.partition("|")
        for held in self._given:
            resource = held.resource
            named = resource.get("resourceType", resource_type) == resource_type and resource.get("url") == url
            if named and (not version or is_version(resource.get("version"), version)):
                return held
        if end is not None:
            several = ((dated.since(held.resource), held) for held in self._versions(resource_type, url))
            return dated.in_force(several, end, url)
        row = self._tenant.canonicals.find(resource_type, canonical) if self._tenant and url else None
        return None if row is None else self._held(resource_type, row)

    def _versions(self, resource_type: str, url: str) -> Iterator[Held]:
        """Every version of a definition that says something, the best one first."""
        for row in self._tenant.canonicals.each(resource_type) if self._tenant else ():
            says = row.url == url and row.kind not in WITHOUT_CODES
            if says and (held := self._held(resource_type, row)) is not None:
                yield held

    def every(self, resource_type: str) -> Iterator[Held]:
        """The definitions of a type, the best one of each url."""
        yield from (held for held in self._given if held.resource.get("resourceType") == resource_type)
        for row in self._tenant.canonicals.all(resource_type) if self._tenant else ():
            held = self._held(resource_type, row)
            if held is not None:
                yield held

    def supplements(self, url: str, version: str | None) -> Iterator[tuple[Hashable | None, Load]]:
        """The supplements of a code system, those that name its version or none: (key, what reads it), since those that
        are known by their key need not be read."""
        for held in self._given:
            named = held.resource.get("supplements", "")
            if named.partition("|")[0] == url and _adds_to(named, version):
                yield held.key, partial(_itself, held)
        for row in _supplements(self._tenant.canonicals).get(url, _NO_SUPPLEMENTS) if self._tenant else ():
            if _adds_to(row.subject, version) and self._may_read("CodeSystem", row):
                yield self._key(row), partial(self._held, "CodeSystem", row)

    def naming_all(self, value_set: str) -> str | None:
        """The url of the code system that names this value set as that of all its codes."""
        for held in self._given:
            if held.resource.get("valueSet") == value_set and "url" in held.resource:
                return str(held.resource["url"])
        row = _all_codes(self._tenant).get(value_set) if self._tenant else None
        return row.url if row is not None and self._may_read("CodeSystem", row) else None

    def _held(self, resource_type: str, row: DefinitionRow) -> Held | None:
        if self._tenant is None or not self._may_read(resource_type, row):
            return None
        body = self._tenant.body(row)
        return None if body is None else Held(body, self._key(row))

    def _key(self, row: DefinitionRow) -> Hashable:
        return self._tenant_id, row.rid, row.revision


def is_version(held: str | None, asked: str) -> bool:
    """Whether a version is the one asked for, which may be its beginning (`1.0` for `1.0.3`, an edition for its
    releases)."""
    return held is not None and (held == asked or held.startswith((f"{asked}.", f"{asked}/")))


def _adds_to(supplements: str, version: str | None) -> bool:
    named = supplements.partition("|")[2]
    return not named or version is None or is_version(version, named)


def _itself(held: Held) -> Held:
    return held


# Of every picture of a tenant's definitions: which of its code systems names a value set as that of all its codes.
_naming: WeakKeyDictionary[Canonicals, Mapping[str, DefinitionRow]] = WeakKeyDictionary()


def _all_codes(tenant: canonicals.Definitions) -> Mapping[str, DefinitionRow]:
    found = _naming.get(tenant.canonicals)
    if found is None:
        rows = [(row, tenant.body(row)) for row in tenant.canonicals.all("CodeSystem")]
        found = {body["valueSet"]: row for row, body in reversed(rows) if body is not None and "valueSet" in body}
        _naming[tenant.canonicals] = found
    return found


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
