"""JSON Schema of the primitive types. Impossible days are excluded by the pattern itself.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from collections.abc import Mapping
from typing import Any

_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_FULL_DATE = f"(?:{_YEAR}-{_DAY}|{_LEAP})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

# Control characters are no FHIR text; a NUL could not even be indexed.
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"


def _string(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


PRIMITIVES: Mapping[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2147483647},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2147483647},
    "decimal": {"type": "number"},
    "string": _string(_TEXT),
    "markdown": _string(_TEXT),
    "xhtml": _string(_TEXT),
    "code": _string(r"^[^\s\x00-\x1f]+(?: [^\s\x00-\x1f]+)*$"),
    "id": _string(r"^[A-Za-z0-9\-.]{1,64}$"),
    "uri": _string(r"^[^\s\x00-\x1f]+$"),
    "url": _string(r"^[^\s\x00-\x1f]+$"),
    "canonical": _string(r"^[^\s\x00-\x1f]+$"),
    "oid": _string(r"^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+$"),
    "uuid": _string("^urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"),
    "base64Binary": _string(r"^\s*(?:[0-9A-Za-z+/]\s*){2,}(?:=\s*){0,2}$"),
    "date": _string(f"^(?:{_FULL_DATE}|{_YEAR}(?:-(?:0[1-9]|1[0-2]))?)$"),
    "dateTime": _string(f"^(?:{_FULL_DATE}(?:T{_CLOCK}{_ZONE})?|{_YEAR}(?:-(?:0[1-9]|1[0-2]))?)$"),
    "instant": _string(f"^{_FULL_DATE}T{_CLOCK}{_ZONE}$"),
    "time": _string(f"^{_CLOCK}$"),
}

# What each type looks like, for people.
FORMS: Mapping[str, str] = {
    "boolean": "true or false, without quotes",
    "integer": "a whole number, without quotes",
    "unsignedInt": "a whole number of 0 or more, without quotes",
    "positiveInt": "a whole number of 1 or more, without quotes",
    "decimal": "a number, without quotes",
    "string": "text that is not empty and has no control characters",
    "markdown": "text that is not empty and has no control characters",
    "xhtml": "XHTML in a string",
    "code": "a code: no blanks around it and single blanks inside",
    "id": "1 to 64 letters, digits, '-' or '.'",
    "uri": "a URI without blanks",
    "url": "a URL without blanks",
    "canonical": "a canonical URL without blanks",
    "oid": "an OID such as urn:oid:1.2.3",
    "uuid": "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "base64Binary": "base64 text",
    "date": "a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date that exists, or a date and time with seconds and an offset: 2015-02-07T13:28:17-05:00",
    "instant": "a date and time with seconds and an offset: 2015-02-07T13:28:17.239+02:00",
    "time": "a time of day with seconds: hh:mm:ss",
}
