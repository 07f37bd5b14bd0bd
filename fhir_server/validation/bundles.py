"""Bundles: entries and their urls, links between entries, and what each kind of Bundle demands. The invariants bdl-1 to
bdl-12 are checked with all others; here stands what the text says.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/R4/documents.html, https://hl7.org/fhir/R4/messaging.html
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Structure
from fhir_server.validation.entries import Linked, references_in, restful
from fhir_server.validation.references import is_absolute
from fhir_server.validation.uris import FORMS
from fhir_server.validation.walk import Path, Rule, Visit, Walk

Json = Mapping[str, Any]
# (path, sentence, key of the rule)
Fault = tuple[Path, str, str]
Check = Callable[[Json, Path], Iterator[Fault]]

_STATUS = re.compile(r"[1-5][0-9]{2}(?:\D.*)?\Z", re.DOTALL)


def _full_urls(bundle: Json, path: Path) -> Iterator[Fault]:
    for index, entry in enumerate(bundle.get("entry", ())):
        url, place = entry.get("fullUrl"), ((path, "entry", index), "fullUrl", None)
        if url is None:
            continue
        form = next((form.match for start, form in FORMS.items() if url.startswith(start)), is_absolute)
        if not form(url):
            yield place, "fullUrl is an absolute URL, or a urn:uuid: or urn:oid: in its form.", "bundle-url"
            continue
        named, resource = restful(url), entry.get("resource", {})
        if named and "id" in resource and named[1] != f"{resource['resourceType']}/{resource['id']}":
            text = "fullUrl names another type or id than the resource in the entry has."
            yield place, text, "bundle-url-id"


def _urns(bundle: Json, path: Path, registry: Registry) -> Iterator[Fault]:
    """References by urn can only be to entries of the same Bundle."""
    linked = Linked(bundle)
    for index, entry in enumerate(bundle.get("entry", ())):
        if "resource" not in entry:
            continue
        start: Path = ((path, "entry", index), "resource", None)
        for place, reference in references_in(registry, entry["resource"], start):
            if reference.startswith(tuple(FORMS)) and linked.target(reference, index) is None:
                text = "No entry of this Bundle has this urn as its fullUrl."
                yield (place, "reference", None), text, "bundle-reference"


def _requests(bundle: Json, path: Path) -> Iterator[Fault]:
    for index, entry in enumerate(bundle.get("entry", ())):
        request, place = entry.get("request"), ((path, "entry", index), "request", None)
        if request is None:
            continue
        method, resource = request.get("method"), entry.get("resource")
        if method in ("POST", "PUT", "PATCH") and resource is None and "$" not in request.get("url", ""):
            text = f"{method} needs a resource."
            yield ((path, "entry", index), "resource", None), text, "bundle-request"
        if method == "PUT" and resource is not None and not _is_about(request.get("url", ""), resource):
            text = "The url of a PUT names the type and id of the resource in the entry, or a condition on its type."
            yield (place, "url", None), text, "bundle-request"


def _is_about(url: str, resource: Json) -> bool:
    target, question, _ = url.partition("?")
    name = resource["resourceType"]
    if question:
        return bool(target.rpartition("/")[2] == name)
    return f"/{target}".endswith(f"/{name}/{resource.get('id')}")


def _responses(bundle: Json, path: Path) -> Iterator[Fault]:
    for index, entry in enumerate(bundle.get("entry", ())):
        status = entry.get("response", {}).get("status")
        if status is not None and not _STATUS.match(status):
            place = (((path, "entry", index), "response", None), "status", None)
            yield place, "status begins with the three digits of an HTTP status.", "bundle-response"


def _matches(bundle: Json, path: Path) -> Iterator[Fault]:
    for index, entry in enumerate(bundle.get("entry", ())):
        mode, resource = entry.get("search", {}).get("mode"), entry.get("resource", {})
        if mode == "outcome" and resource.get("resourceType") != "OperationOutcome":
            text = "The entry of mode outcome is an OperationOutcome about the search."
            yield ((path, "entry", index), "resource", None), text, "bundle-search"


@dataclass(frozen=True, slots=True)
class Entering:
    """What the first entry of a kind of Bundle brings along: references in elements `only`, or in all but `beside`."""

    only: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


def _missing(entering: Entering, bundle: Json, path: Path, registry: Registry) -> Iterator[Fault]:
    """What the first entry refers to must be in the Bundle."""
    linked, first = Linked(bundle), bundle["entry"][0]["resource"]
    start: Path = ((path, "entry", 0), "resource", None)
    for place, reference in references_in(registry, first, start):
        at = _element_of(place, start)
        wanted = at in entering.only if entering.only else at not in entering.beside
        if wanted and not reference.startswith("#") and linked.target(reference, 0) is None:
            text = f"What the {first['resourceType']} refers to here must be an entry of the Bundle."
            yield (place, "reference", None), text, "bundle-incomplete"


def _element_of(place: Path, start: Path) -> str:
    """The element of the resource at `start` under which a place is."""
    while place[0] is not start:
        place = place[0]
    return place[1]


def _unlinked(bundle: Json, path: Path, registry: Registry) -> Iterator[Fault]:
    """Every entry is linked with the first one, in whichever direction; stylesheets need not be."""
    linked, held = Linked(bundle), bundle["entry"]
    links: list[set[int]] = [set() for _ in held]
    for index, entry in enumerate(held):
        for _, reference in references_in(registry, entry["resource"], path) if "resource" in entry else ():
            target = linked.target(reference, index)
            if target is not None:
                links[index].add(target)
                links[target].add(index)
    reached, waiting = {0}, [0]
    while waiting:
        fresh = links[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    for index, entry in enumerate(held):
        if index not in reached and entry.get("resource", {}).get("resourceType") != "Binary":
            text = "No reference links this entry with the first one, neither directly nor through other entries."
            yield (path, "entry", index), text, "bundle-unlinked"


_ENTERING = {
    # "any other resources referenced from Composition must be included"; what it replaces is another document.
    "document": Entering(beside=frozenset({"relatesTo"})),
    "message": Entering(only=frozenset({"focus"})),
}
_BY_TYPE: Mapping[str, tuple[Check, ...]] = {
    "batch": (_requests,),
    "transaction": (_requests,),
    "history": (_responses,),
    "batch-response": (_responses,),
    "transaction-response": (_responses,),
    "searchset": (_matches,),
}


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    if structure.name != "Bundle":
        return None

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        kind = value.get("type")
        for check in (_full_urls, *_BY_TYPE.get(kind, ())):
            _note(walk, check(value, path))
        _note(walk, _urns(value, path, registry))
        if kind in _ENTERING and _begins(value):
            _note(walk, _missing(_ENTERING[kind], value, path, registry))
            if kind == "document":
                _note(walk, _unlinked(value, path, registry))

    return visit


def _remarks(registry: Registry, structure: Structure) -> Visit | None:
    if structure.name != "Bundle":
        return None

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        if value.get("type") == "message" and _begins(value):
            _note(walk, _unlinked(value, path, registry), "warning")

    return visit


def _begins(bundle: Json) -> bool:
    return "resource" in next(iter(bundle.get("entry", ())), {})


def _note(walk: Walk, faults: Iterable[Fault], severity: str = "error") -> None:
    for path, text, rule in faults:
        walk.fail(path, "invariant", text, severity, rule)


BUNDLES = Rule("bundles", on_object=_on_object)
BUNDLE_REMARKS = Rule("bundle-remarks", on_object=_remarks)
