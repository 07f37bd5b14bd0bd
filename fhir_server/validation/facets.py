"""Limits of a value that extensions set, on elements of profiles and on questions alike: a regular expression, lengths,
decimal places, and what an attachment may be.

https://hl7.org/fhir/R4/extension-regex.html, https://hl7.org/fhir/R4/extension-minlength.html,
https://hl7.org/fhir/R4/extension-maxdecimalplaces.html, https://hl7.org/fhir/R4/extension-maxsize.html,
https://hl7.org/fhir/R4/extension-mimetype.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import FhirPathError, regexes

Json = Mapping[str, Any]
# What is wrong with a value, as the rest of a sentence about it; None when nothing is.
Test = Callable[[Any], str | None]

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_MEGABYTE = 1_000_000


def facets(extensions: Iterable[Json]) -> list[tuple[Test, str]]:
    """(test, issue code) of each limit that these extensions set. Values of a type that a limit is not about pass."""
    said: dict[str, list[Any]] = {}
    for extension in extensions:
        value = next((value for name, value in extension.items() if name.startswith("value")), None)
        if extension.get("url") in _BUILD and value is not None:
            said.setdefault(extension["url"], []).append(value)
    return [(_BUILD[url][0](values), _BUILD[url][1]) for url, values in said.items()]


def _regex(values: Sequence[str]) -> Test:
    def test(value: Any) -> str | None:
        try:
            fits = not isinstance(value, str) or all(regexes.fills(each, value) for each in values)
        except FhirPathError:
            # What the expression means cannot be told here.
            return None
        return None if fits else f"must have the form {' and '.join(values)}"

    return test


def _min_length(values: Sequence[int]) -> Test:
    least = max(values)

    def test(value: Any) -> str | None:
        return f"takes at least {least} characters" if isinstance(value, str) and len(value) < least else None

    return test


def _decimal_places(values: Sequence[int]) -> Test:
    most = min(values)

    def test(value: Any) -> str | None:
        number = value.get("value") if isinstance(value, Mapping) else value
        exponent = number.as_tuple().exponent if isinstance(number, Decimal) else 0
        return f"takes at most {most} decimal places" if isinstance(exponent, int) and -exponent > most else None

    return test


def _max_size(values: Sequence[Any]) -> Test:
    most = min(map(Decimal, map(str, values)))

    def test(value: Any) -> str | None:
        held = _bytes(value)
        return f"takes at most {most} MB" if held is not None and held > most * _MEGABYTE else None

    return test


def _bytes(value: Any) -> int | None:
    """How many bytes an attachment, or base64 text, is of."""
    if isinstance(value, Mapping) and "data" not in value:
        size: int | None = value.get("size")
        return size
    data = value.get("data") if isinstance(value, Mapping) else value
    return len(data) * 3 // 4 - data[-2:].count("=") if isinstance(data, str) else None


def _mime_type(values: Sequence[str]) -> Test:
    def test(value: Any) -> str | None:
        given = value.get("contentType") if isinstance(value, Mapping) else None
        if given is None or any(_is_kind(given.partition(";")[0].strip(), each) for each in values):
            return None
        return f"takes {' or '.join(values)}, not {given}"

    return test


def _is_kind(given: str, wanted: str) -> bool:
    return given == wanted or (wanted.endswith("/*") and given.startswith(wanted[:-1]))


_BUILD: Mapping[str, tuple[Callable[[Sequence[Any]], Test], str]] = {
    f"{_EXTENSION}regex": (_regex, "value"),
    f"{_EXTENSION}minLength": (_min_length, "value"),
    f"{_EXTENSION}maxDecimalPlaces": (_decimal_places, "value"),
    f"{_EXTENSION}maxSize": (_max_size, "too-long"),
    f"{_EXTENSION}mimeType": (_mime_type, "value"),
}
