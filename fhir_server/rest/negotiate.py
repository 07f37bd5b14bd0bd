"""Formats: which one the client sent, which one it wants. https://hl7.org/fhir/R4/http.html#mime-type"""

import re
from collections.abc import Iterable
from functools import lru_cache

from fhir_server.core.errors import NotAcceptable, UnsupportedMediaType
from fhir_server.core.messages import FHIR_JSON, FHIR_XML

JSON, XML = "json", "xml"
_NAMES = {
    "json": JSON,
    "xml": XML,
    FHIR_JSON: JSON,
    FHIR_XML: XML,
    "application/json": JSON,
    "application/xml": XML,
    "text/json": JSON,
    "text/xml": XML,
    "application/json+fhir": JSON,
    "application/xml+fhir": XML,
    "*/*": JSON,
    "application/*": JSON,
    "text/*": JSON,
}
JSON_PATCH = "application/json-patch+json"
_R4 = ("4.0", "4.0.0", "4.0.1")
_UTF8 = re.compile(r"""\bcharset\s*=\s*["']?(?:utf-?8|us-ascii)["']?\s*(?:;|\Z)""", re.IGNORECASE)


@lru_cache(maxsize=512)
def wanted(format_parameter: str | None, accept: str | None) -> str:
    """`json` or `xml`. `_format` goes before Accept; nothing said means JSON. Raises `NotAcceptable`."""
    if format_parameter:
        name, *parameters = (each.strip().lower() for each in format_parameter.split(";"))
        name = name.replace(" ", "+")
        if name in _NAMES and _is_r4(parameters):
            return _NAMES[name]
        raise NotAcceptable("_format can be json or xml, of fhirVersion 4.0.", expression="http._format")
    if not accept:
        return JSON
    for name in _by_preference(accept):
        if name in _NAMES:
            return _NAMES[name]
    raise NotAcceptable(f"Accept can be {FHIR_JSON} or {FHIR_XML}, fhirVersion 4.0.", expression="http.Accept")


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether Accept wants content of this media type as it is, that is: names it before any FHIR format, or names no
    FHIR format at all. https://hl7.org/fhir/R4/binary.html#rest"""
    names = _by_preference(accept or "")
    for name in names:
        if name == media_type or name == "*/*" or name == media_type.partition("/")[0] + "/*":
            return name != "*/*"
        if name in _NAMES:
            return False
    return bool(names)


def _by_preference(accept: str) -> list[str]:
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept.split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0 if _is_r4(parameters) else 0.0
        for parameter in parameters:
            if quality and parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if quality > 0:
            ranked.append((-quality, position, name))
    return [name for _, _, name in sorted(ranked)]


def _is_r4(parameters: Iterable[str]) -> bool:
    """Whether they ask for no other version of FHIR. https://hl7.org/fhir/R4/http.html#version-parameter"""
    asked = (each.partition("=")[2].strip("\"' ") for each in parameters if each.startswith("fhirversion"))
    return all(version in _R4 for version in asked)


@lru_cache(maxsize=512)
def sent(content_type: str | None) -> str:
    """`json` or `xml`, by the Content-Type of a body. Raises `UnsupportedMediaType`."""
    name, _, parameters = (content_type or FHIR_JSON).partition(";")
    name = name.strip().lower()
    if "charset" in parameters.lower() and not _UTF8.search(parameters):
        raise UnsupportedMediaType("The body must be UTF-8.", expression="http.Content-Type")
    if not _is_r4(piece.strip().lower() for piece in parameters.split(";")):
        raise UnsupportedMediaType("This server speaks FHIR R4: fhirVersion=4.0.", expression="http.Content-Type")
    if name in (JSON_PATCH, "application/octet-stream", ""):
        return JSON
    if name not in _NAMES or "*" in name:
        raise UnsupportedMediaType(
            f"The body must be {FHIR_JSON} or {FHIR_XML}.", expression="http.Content-Type"
        )
    return _NAMES[name]
