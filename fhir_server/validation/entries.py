"""The resources in a Bundle, and which of them a reference means.

https://hl7.org/fhir/R4/bundle.html#references
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.core.references import parse_literal
from fhir_server.validation.walk import Path

Json = Mapping[str, Any]
Resolve = Callable[[str], dict[str, Any] | None]


def entries(bundle: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, resource) of every resource that stands in an entry; nothing for what is no Bundle."""
    if bundle.get("resourceType") != "Bundle":
        return
    for index, entry in enumerate(bundle.get("entry", ())):
        if "resource" in entry:
            yield f"Bundle.entry[{index}].resource", entry["resource"]


def references_in(registry: Registry, resource: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """(place of the Reference, its text) of all references in a resource, those in contained resources too."""
    yield from _below(registry, resource["resourceType"], resource, path)


def _below(registry: Registry, type_: str, value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    elements = registry.structures[type_].elements
    for key, item in value.items():
        element = elements.get(key)
        if element is None or registry.structures[element.type].kind == "primitive-type":
            continue
        listed = isinstance(item, list)
        for index, each in enumerate(item if listed else (item,)):
            place = (path, element.choice or element.name, index if listed else None)
            if element.type == "Reference":
                if "reference" in each:
                    yield place, each["reference"]
            elif registry.structures[element.type].kind == "resource":
                yield from _below(registry, each["resourceType"], each, place)
            else:
                yield from _below(registry, element.type, each, place)


def restful(url: str) -> tuple[str, str] | None:
    """(base with its slash, `Type/id`) of an absolute RESTful url; None for any other."""
    literal = parse_literal(url)
    return (literal.base, literal.local) if literal is not None and literal.base is not None else None


class Linked:
    """A Bundle's entries by what references say of them."""

    def __init__(self, bundle: Json) -> None:
        self._by_url: dict[str, int] = {}
        self._by_name: dict[str, int] = {}
        self.urls: list[str | None] = []
        for index, entry in enumerate(bundle.get("entry", ())):
            url, resource = entry.get("fullUrl"), entry.get("resource", {})
            self.urls.append(url)
            if url is not None:
                self._by_url.setdefault(url, index)
            if "id" in resource:
                self._by_name.setdefault(f"{resource['resourceType']}/{resource['id']}", index)

    def target(self, reference: str, source: int | None = None) -> int | None:
        """The number of the entry that a reference in the entry `source` means, or None.

        An absolute reference is compared with fullUrls; a relative one is put behind the base of the fullUrl of the
        entry that it stands in. Where that has none, an entry of this type and id will do.
        """
        plain = reference.partition("#")[0].partition("/_history/")[0]
        if plain in self._by_url:
            return self._by_url[plain]
        literal = parse_literal(plain)
        if literal is None or literal.base is not None:
            return None
        own = None if source is None else self.urls[source]
        base = None if own is None else restful(own)
        if base is not None:
            return self._by_url.get(f"{base[0]}{literal.local}")
        return self._by_name.get(literal.local) if own is None or own.startswith("urn:") else None


def resolver(resource: Any, beyond: Resolve) -> Resolve:
    """What references in a resource mean: in a Bundle its entries come first, then `beyond`."""
    if resource.get("resourceType") != "Bundle":
        return beyond
    linked, held = Linked(resource), resource.get("entry", ())

    def resolve(reference: str) -> dict[str, Any] | None:
        index = linked.target(reference)
        found: dict[str, Any] | None = None if index is None else held[index].get("resource")
        return found if found is not None else beyond(reference)

    return resolve
