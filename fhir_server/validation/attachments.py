"""Attachments: what they say of their data must be so. base64 wherever it stands.

https://hl7.org/fhir/R4/datatypes.html#attachment, https://hl7.org/fhir/R4/datatypes.html#base64Binary
"""

import re
from base64 import b64decode, b64encode
from hashlib import sha1
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.validation.walk import Path, Rule, Visit, Walk

_SPACE = re.compile(r"\s")


def _content(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    data = value.get("data")
    if data is None or not ("size" in value or "hash" in value) or not _is_whole(data):
        return
    content = b64decode(data)
    if "size" in value and value["size"] != len(content):
        text = f"size must be the number of bytes of the data, which is {len(content)}."
        walk.fail((path, "size", None), "invariant", text, rule="attachment-size")
    if "hash" in value and _without_space(value["hash"]) != _hash(content):
        walk.fail((path, "hash", None), "invariant", "hash must be the SHA-1 of the data.", rule="attachment-hash")


def _hash(content: bytes) -> str:
    return b64encode(sha1(content, usedforsecurity=False).digest()).decode()


def _without_space(text: str) -> str:
    return _SPACE.sub("", text)


def _is_whole(text: str) -> bool:
    """Whether base64 text comes in groups of four, as R4's pattern has it."""
    length = len(_without_space(text)) if _SPACE.search(text) else len(text)
    return length % 4 == 0


def _base64(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    if value is not None and not _is_whole(value):
        text = "base64 text comes in groups of four characters, the last one filled up with '='."
        walk.fail(path, "invariant", text, rule="base64")


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    return _content if structure.name == "Attachment" else None


def _on_element(registry: Registry, structure: Structure, element: Element) -> Visit | None:
    return _base64 if element.type == "base64Binary" else None


ATTACHMENTS = Rule("attachments", on_object=_on_object, on_element=_on_element)
