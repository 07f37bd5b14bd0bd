"""Bundles written by joining stored JSON text; a stored resource is not parsed to be served.

https://hl7.org/fhir/R4/bundle.html
"""

from collections.abc import Iterable, Sequence

from fhir_server.core.resource_json import encode


def link(relation: str, url: str) -> dict[str, str]:
    """A Bundle.link."""
    return {"relation": relation, "url": url}


def bundle(
    kind: str,
    entries: Iterable[bytes],
    *,
    links: Sequence[dict[str, str]] = (),
    total: int | None = None,
    labels: Sequence[dict[str, str]] = (),
) -> bytes:
    """A Bundle of entries that are JSON text already. `labels`: its security labels."""
    head = b'{"resourceType":"Bundle"'
    if labels:
        head += b',"meta":{"security":%b}' % encode(labels)
    head += b',"type":"%s"' % kind.encode()
    if total is not None:
        head += b',"total":%d' % total
    if links:
        head += b',"link":' + encode(links)
    body = b",".join(entries)
    return head + (b',"entry":[' + body + b"]}" if body else b"}")


def text(value: str) -> bytes:
    """A string as JSON text."""
    return encode(value)
