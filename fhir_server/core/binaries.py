"""The content of a Binary resource. https://hl7.org/fhir/R4/binary.html"""

import binascii
from base64 import b64decode
from typing import Any

from fhir_server.core.errors import Invalid


def data_of(binary: dict[str, Any]) -> bytes:
    """The bytes of a Binary; empty when it has none. Raises `Invalid` for what is not base64."""
    try:
        return b64decode("".join(binary.get("data", "").split()), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        raise Invalid("Binary.data is not base64.", expression="Binary.data", code="value") from None


def content_of(binary: dict[str, Any]) -> bytes:
    """As `data_of`, of a Binary that must have some."""
    data = data_of(binary)
    if not data:
        raise Invalid("The Binary holds no base64 data.", expression="Binary.data", code="value")
    return data
