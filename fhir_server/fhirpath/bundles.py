"""References within a Bundle. https://hl7.org/fhir/R4/bundle.html#references"""

from typing import Any

from fhir_server.core.references import parse_literal
from fhir_server.fhirpath.nodes import Env, Node


class Entries:
    """The entries of a Bundle by fullUrl, and to which of them an object in the Bundle belongs."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._by_url: dict[str, dict[str, Any]] = {}
        self._entry_of: dict[int, dict[str, Any]] = {}
        for entry in bundle.get("entry") or ():
            if isinstance(entry.get("resource"), dict):
                self._by_url.setdefault(entry.get("fullUrl") or "", entry)
                self._claim(entry["resource"], entry)
        self._by_url.pop("", None)

    def __len__(self) -> int:
        return len(self._entry_of)

    def holder(self, value: Any) -> Node | None:
        """The resource of the entry in which an object stands."""
        entry = self._entry_of.get(id(value))
        return None if entry is None else _node(entry)

    def target(self, reference: str, value: Any) -> Node | None:
        """The resource that a reference in `value` means: by its absolute URL, or by one relative to the entry's."""
        literal = parse_literal(reference)
        version = literal.version if literal is not None else None
        url = reference.partition("/_history/")[0] if version else reference
        entry = self._by_url.get(url)
        if entry is None and literal is not None and not literal.base:
            own = self._entry_of.get(id(value), {})
            at_own = parse_literal(own.get("fullUrl") or "")
            entry = self._by_url.get(f"{at_own.base}{url}") if at_own is not None and at_own.base else None
        if entry is None or (version and entry["resource"].get("meta", {}).get("versionId") != version):
            return None
        return _node(entry)

    def _claim(self, value: Any, entry: dict[str, Any]) -> None:
        rest = [value]
        while rest:
            at = rest.pop()
            if isinstance(at, dict):
                self._entry_of[id(at)] = entry
                rest += at.values()
            elif isinstance(at, list):
                rest += at


def entries_of(env: Env) -> Entries | None:
    """The entries of the Bundle that is evaluated on, looked through once; None on any other resource."""
    root = env.root[1]
    if env.root[0] != "Bundle" or not isinstance(root, dict):
        return None
    found: Entries | None = env.entries
    if found is None:
        found = env.entries = Entries(root)
        env.work(len(found))
    return found


def _node(entry: dict[str, Any]) -> Node:
    resource = entry["resource"]
    return resource.get("resourceType", ""), resource, None
