"""Bodies of requests to the token endpoint and its like: one form, each parameter once. RFC 6749 section 3.2"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749.errors import InvalidRequestError

_FORM = "application/x-www-form-urlencoded"
_LONGEST = 256 * 1024
_MOST = 100

Form = Mapping[str, str]


def parse(body: bytes, content_type: str, query: str) -> Form:
    """The parameters of a form. Ones without a value count as absent. Raises `InvalidRequestError` for another format,
    for a parameter that comes twice, and for parameters in the URL, where they would end in logs."""
    if query:
        raise InvalidRequestError("Parameters belong in the body, not in the URL.")
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequestError(f"The body is {_FORM}.")
    if len(body) > _LONGEST:
        raise InvalidRequestError("The body is too long.")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", encoding="utf-8", max_num_fields=_MOST
        )
    except ValueError:
        raise InvalidRequestError("The body is no form in UTF-8.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequestError("A parameter comes more than once.")
        found[name] = value
    if any("\x00" in value for value in found.values()):
        raise InvalidRequestError("A parameter holds a character that none may hold.")
    return {name: value for name, value in found.items() if value}


def needed(form: Form, name: str) -> str:
    """A parameter that must be there."""
    if name not in form:
        raise InvalidRequestError(f"{name} is missing.")
    return form[name]
