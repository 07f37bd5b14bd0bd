"""Where a tenant's authorization server is: its URLs, and what a request needs to know of the tenant."""

from dataclasses import dataclass

from fhir_server.conformance.registry import Registry


@dataclass(frozen=True, slots=True)
class Urls:
    """The URLs of one tenant. `issuer`: `{origin}/t/{slug}/oauth`; `fhir`: its FHIR base."""

    issuer: str
    fhir: str

    def of(self, name: str) -> str:
        """A URL below the issuer."""
        return f"{self.issuer}/{name}"

    @property
    def token(self) -> str:
        """The token endpoint."""
        return self.of("token")

    @property
    def audiences(self) -> tuple[str, ...]:
        """What a client assertion may name as `aud`: the token endpoint (SMART) or the issuer (RFC 7523bis)."""
        return (self.token, self.issuer)


@dataclass(frozen=True, slots=True)
class Realm:
    """The tenant that a request is about, as its authorization server needs it."""

    tenant_id: int
    urls: Urls
    registry: Registry


def urls(origin: str, slug: str) -> Urls:
    """The URLs of a tenant at an origin (scheme and host)."""
    return Urls(f"{origin}/t/{slug}/oauth", f"{origin}/t/{slug}/fhir")


def urls_of_base(base: str) -> Urls:
    """The URLs that belong to a FHIR base."""
    return Urls(f"{base.removesuffix('/fhir')}/oauth", base)


# As the extension oauth-uris of the CapabilityStatement names them, in its order.
_IN_CAPABILITIES = (
    ("authorize", "authorize"),
    ("token", "token"),
    ("introspect", "introspect"),
    ("manage", "account"),
    ("register", "register"),
    ("revoke", "revoke"),
)


def oauth_uris(base: str, *, registration: bool) -> dict[str, str]:
    """The endpoints for a CapabilityStatement; `registration`: whether clients may register themselves."""
    found = urls_of_base(base)
    return {name: found.of(path) for name, path in _IN_CAPABILITIES if registration or name != "register"}
