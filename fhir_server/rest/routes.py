"""Which interaction a method and path name. https://hl7.org/fhir/R4/http.html#summary"""

from dataclasses import dataclass
from difflib import get_close_matches

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import FhirError, MethodNotAllowed, NotFound


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction with what the path says: type, id, version, operation code, or the compartment's member type."""

    interaction: str
    type: str | None = None
    id: str | None = None
    extra: str | None = None


# Shape of a path: T a resource type, I an id, $ an operation, M a member type of a compartment, others literally.
ROUTES: dict[tuple[str, str], str] = {
    ("GET", ""): "search-system",
    ("POST", ""): "bundle",
    ("GET", "metadata"): "capabilities",
    ("POST", "_search"): "search-system",
    ("GET", "_history"): "history-system",
    ("GET", "$"): "operation",
    ("POST", "$"): "operation",
    ("GET", "T"): "search-type",
    ("POST", "T"): "create",
    ("PUT", "T"): "conditional-update",
    ("PATCH", "T"): "conditional-patch",
    ("DELETE", "T"): "conditional-delete",
    ("POST", "T/_search"): "search-type",
    ("GET", "T/_history"): "history-type",
    ("GET", "T/$"): "operation",
    ("POST", "T/$"): "operation",
    ("GET", "T/I"): "read",
    ("PUT", "T/I"): "update",
    ("PATCH", "T/I"): "patch",
    ("DELETE", "T/I"): "delete",
    ("GET", "T/I/_history"): "history-instance",
    ("GET", "T/I/_history/V"): "vread",
    ("GET", "T/I/$"): "operation",
    ("POST", "T/I/$"): "operation",
    ("GET", "T/I/M"): "search-compartment",
    ("POST", "T/I/M/_search"): "search-compartment",
}
_METHODS: dict[str, list[str]] = {}
for _method, _shape in ROUTES:
    _METHODS.setdefault(_shape, []).append(_method)


def route(registry: Registry, method: str, path: str) -> Route:
    """The route of a path below the base. Raises `NotFound` for a path that names nothing, `MethodNotAllowed` for a
    method that the path does not have."""
    segments = path.strip("/").split("/") if path.strip("/") else []
    shape, parts = _shape_of(registry, segments)
    interaction = ROUTES.get(("GET" if method == "HEAD" else method, shape))
    if interaction is None:
        allowed = ", ".join(_METHODS.get(shape, []))
        text = f"{method} is not possible at this URL (possible: {allowed})."
        raise MethodNotAllowed(text, headers={"Allow": allowed})
    return Route(interaction, *parts)


def meant(registry: Registry, method: str, path: str) -> tuple[str, str | None]:
    """The interaction and type that a request was about, as far as its method and path tell; never raises."""
    try:
        where = route(registry, method, path)
    except FhirError:
        return "operation", None
    return "transaction" if where.interaction == "bundle" else where.interaction, where.type


def _shape_of(registry: Registry, segments: list[str]) -> tuple[str, tuple[str | None, str | None, str | None]]:
    match segments:
        case []:
            return "", (None, None, None)
        case ["metadata" | "_search" | "_history" as word]:
            return word, (None, None, None)
        case [operation] if operation.startswith("$"):
            return "$", (None, None, operation[1:])
    name = segments[0]
    if name not in registry.type_ids:
        near = get_close_matches(name, registry.resource_types, 1, 0.6)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NotFound(f"{name!r} is not a resource type of FHIR R4.{hint}", code="not-supported")
    match segments[1:]:
        case []:
            return "T", (name, None, None)
        case ["_search" | "_history" as word]:
            return f"T/{word}", (name, None, None)
        case [operation] if operation.startswith("$"):
            return "T/$", (name, None, operation[1:])
        case [id_]:
            return "T/I", (name, id_, None)
        case [id_, "_history"]:
            return "T/I/_history", (name, id_, None)
        case [id_, "_history", version]:
            return "T/I/_history/V", (name, id_, version)
        case [id_, operation] if operation.startswith("$"):
            return "T/I/$", (name, id_, operation[1:])
        case [id_, member] if member == "*" or member in registry.type_ids:
            return "T/I/M", (name, id_, member)
        case [id_, member, "_search"] if member == "*" or member in registry.type_ids:
            return "T/I/M/_search", (name, id_, member)
    raise NotFound("This URL names no FHIR interaction.", code="not-supported")
