"""The signature of Twilio's callbacks: HMAC-SHA1 over the URL and the sorted form fields, in base64.

https://www.twilio.com/docs/usage/security#validating-requests
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from urllib.parse import urlsplit

HEADER = "X-Twilio-Signature"
_PORTS = {"https": 443, "http": 80}


def sign(secret: str, url: str, form: Mapping[str, Sequence[str]]) -> str:
    """The signature of a POST of these form fields to this URL."""
    fields = "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))
    return b64encode(hmac.new(secret.encode(), (url + fields).encode(), sha1).digest()).decode()


def verify(secret: str, url: str, form: Mapping[str, Sequence[str]], signature: str) -> bool:
    """Whether the signature is right. Twilio signs the URL now with its port and now without, so both count."""
    given = signature.encode()
    right = [hmac.compare_digest(sign(secret, spelled, form).encode(), given) for spelled in _spellings(url)]
    return any(right)


def _spellings(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        return url, parts._replace(netloc=host.rpartition(":")[0]).geturl()
    return url, parts._replace(netloc=f"{host}:{_PORTS.get(parts.scheme, 443)}").geturl()
