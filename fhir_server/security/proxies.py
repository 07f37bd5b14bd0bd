"""Who asks, from where, under which outside address: `X-Forwarded-*` counts only from the proxies that are named in
SALAM_TRUSTED_PROXIES, because anybody can send such headers."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from fhir_server.core.errors import Forbidden, Invalid
from fhir_server.settings import settings

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


@lru_cache(maxsize=8)
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"SALAM_TRUSTED_PROXIES: {error}") from None


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip().removeprefix("[").partition("]")[0] if "[" in text else text.strip()
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_proxy(text: str) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in _networks(settings.trusted_proxies))


def trusts(environ: dict[str, Any]) -> bool:
    """Whether the request comes from a proxy whose forwarding headers count."""
    return bool(settings.trusted_proxies) and _is_proxy(environ.get("REMOTE_ADDR") or "")


def client_address(environ: dict[str, Any]) -> str:
    """The address of the client: the last one in X-Forwarded-For that is not a trusted proxy's, where the request comes
    from a trusted proxy, else the peer's own."""
    peer: str = environ.get("REMOTE_ADDR") or ""
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if not forwarded or not trusts(environ):
        return peer
    seen = peer
    for part in reversed(forwarded.split(",")):
        address = _address(part)
        if address is None:
            return seen
        seen = str(address)
        if not _is_proxy(seen):
            return seen
    return seen


def origin(environ: dict[str, Any]) -> str:
    """`scheme://host` as clients see it: SALAM_PUBLIC_URL, what a trusted proxy says, or what the request says.

    Raises `Invalid` for a Host that is not a host, and `Forbidden` when clients use https and this request did not.
    """
    if settings.public_url:
        if settings.trusted_proxies and settings.public_url.startswith("https:"):
            _refuse_plain(environ)
        return settings.public_url.rstrip("/")
    scheme = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if settings.trusted_proxies and trusts(environ):
        told = _told(environ, "HTTP_X_FORWARDED_PROTO").lower()
        scheme = told if told in ("http", "https") else scheme
        host = _told(environ, "HTTP_X_FORWARDED_HOST") or host
    if not _HOST.match(host):
        raise Invalid("The Host header is not a host.", expression="http.Host")
    return f"{scheme}://{host}"


def _told(environ: dict[str, Any], name: str) -> str:
    """A header of the nearest proxy: the last of several values."""
    value: str = environ.get(name, "")
    return value.rpartition(",")[2].strip()


def _refuse_plain(environ: dict[str, Any]) -> None:
    if _told(environ, "HTTP_X_FORWARDED_PROTO").lower() == "http" and trusts(environ):
        raise Forbidden("This server is reached by https only.")


# A mistake in the setting shows at the start, not at the first request.
_networks(settings.trusted_proxies)
