"""Redirect URIs: which may be registered, and when one in a request is a registered one. RFC 9700 2.1, RFC 8252 7.3"""

import re
from urllib.parse import SplitResult, urlsplit

_LONGEST = 2000
# Printable ASCII without what has no place in a URI (RFC 3986), without '#' and '*'.
_URI = re.compile(r"[!$%&'()+,\-./0-9:;=?@A-Z\[\]_a-z~]+\Z")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_ADDRESSES = ("127.0.0.1", "::1")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+\Z")


def fault(uri: object, *, native: bool) -> str | None:
    """Why a URI cannot be registered as a redirect URI; None when it can.

    https, or http on the machine itself (development, native applications); native ones also a private scheme with a
    dot in it.
    """
    if not isinstance(uri, str) or not 0 < len(uri) <= _LONGEST or not _URI.match(uri):
        return "is an absolute URI of plain characters without fragment or wildcard"
    part = _split(uri)
    if part is None:
        return "is a URI"
    if part.scheme not in ("http", "https"):
        if native and _PRIVATE_SCHEME.match(part.scheme) and (part.path or part.netloc):
            return None
        return "is https; native applications may also use a scheme with a dot in it, such as com.example.app"
    if "@" in part.netloc or not _is_host(part) or "/.." in part.path or "/./" in part.path:
        return "has a plain host, no user and no dots in its path"
    if part.scheme == "http" and not is_loopback(part):
        return "is https; http only on 127.0.0.1, [::1] or localhost"
    return None


def is_web_url(uri: object) -> bool:
    """Whether it is a plain https URL, or http on the machine itself (launch URLs, logos, pages)."""
    if not isinstance(uri, str) or not 0 < len(uri) <= _LONGEST or not _URI.match(uri):
        return False
    part = _split(uri)
    if part is None or "@" in part.netloc or not _is_host(part):
        return False
    return part.scheme == "https" or (part.scheme == "http" and is_loopback(part))


def is_loopback(part: SplitResult) -> bool:
    """Whether the host is this machine, by address or as `localhost`."""
    return part.hostname in (*_ADDRESSES, "localhost")


def same(given: str, held: str, *, native: bool) -> bool:
    """Whether a redirect URI of a request is the registered one: the same string. A native client's loopback address
    may have any port, for it listens where the system lets it."""
    if given == held:
        return True
    if not native or not _URI.match(given):
        return False
    ours, theirs = _split(held), _split(given)
    if ours is None or theirs is None or ours.scheme != "http" or ours.hostname not in _ADDRESSES:
        return False
    host = f"[{ours.hostname}]" if ours.hostname == "::1" else str(ours.hostname)
    port = "" if theirs.port is None else f":{theirs.port}"
    # Put together anew and compared as a string, so that nothing but the port can differ.
    return given == ours._replace(netloc=host + port).geturl()


def _split(uri: str) -> SplitResult | None:
    try:
        part = urlsplit(uri)
        return part if part.port is None or part.port > 0 else None
    except ValueError:
        return None


def _is_host(part: SplitResult) -> bool:
    host = part.hostname or ""
    if part.netloc != part.netloc.lower() or part.netloc.endswith(":"):
        return False
    return host == "::1" or _HOST.match(host) is not None
