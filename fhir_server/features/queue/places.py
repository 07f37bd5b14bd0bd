"""Where a board or a kiosk stands, and which queues it is there for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden
from fhir_server.features.queue import configuration
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, is_staff
from fhir_server.security.roles import roles

SETTINGS = "urn:salam:StructureDefinition:waiting-room"
KINDS = "urn:salam:CodeSystem:device-kind"
_MOST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A device and what is around it. `site`: its Location, None when it has none; `services`: every active
    HealthcareService there; `queues`: those that are queues and belong to the device, in its order; `rooms`: the
    Locations that are the site or parts of it, as `Location/id`."""

    device: dict[str, Any]
    site: dict[str, Any] | None
    services: tuple[dict[str, Any], ...]
    queues: tuple[dict[str, Any], ...]
    rooms: tuple[str, ...]

    def queue(self, reference: str) -> dict[str, Any] | None:
        """The queue of this place that is meant by `HealthcareService/id`."""
        return next((each for each in self.queues if f"HealthcareService/{each['id']}" == reference), None)


def own_device(ctx: Context, device_id: str, right: str) -> dict[str, Any]:
    """The device that calls, which may do this (`right`: of roles.json). Raises `Forbidden` for everybody else, whether
    there is such a device or not."""
    who = ctx.principal.user
    role = roles().get(who.role) if who is not None else None
    if who is None or role is None or right not in role.may or who.fhir_user != f"Device/{device_id}":
        raise Forbidden(f"Only a device with the right {right} may do this, for itself.")
    device = stored.get(as_server(ctx), "Device", device_id)
    if device.get("status", "active") != "active":
        raise Forbidden("This device is out of use.", expression="Device.status")
    return device


def watched_device(ctx: Context, device_id: str) -> dict[str, Any]:
    """The device whose place the caller may look at: his own, or any for staff. Raises `Forbidden`, `NotFound`."""
    return stored.get(ctx, "Device", device_id) if is_staff(ctx, "Task") else own_device(ctx, device_id, "waiting-room")


def kind_of(device: Mapping[str, Any]) -> str:
    """What the device is for: `board`, `kiosk`, or "" for any other."""
    codings = device.get("type", {}).get("coding", ())
    return next((str(each.get("code", "")) for each in codings if each.get("system") == KINDS), "")


def place(ctx: Context, device: dict[str, Any]) -> Place:
    """What is at the device's Location and its parts. `ctx`: the server's."""
    name = stored.local(ctx, device.get("location"))
    sites = stored.by_name(ctx, [name]) if name else {}
    site = sites.get(name or "")
    if site is None:
        return Place(device, None, (), (), ())
    parts = stored.find(ctx, "Location", [("partof", str(name))], limit=_MOST)
    rooms = (str(name), *(f"Location/{each['id']}" for each in parts))
    at_rooms = [("location", ",".join(rooms)), ("active", "true")]
    services = stored.find(ctx, "HealthcareService", at_rooms, limit=_MOST)
    services.sort(key=lambda each: (str(each.get("name", "")), each["id"]))
    return Place(device, site, tuple(services), tuple(_chosen(ctx, device, services)), rooms)


def settings(device: Mapping[str, Any], name: str) -> list[Any]:
    """The values of one part of the extension `waiting-room`."""
    found: list[Any] = []
    for extension in device.get("extension", ()):
        parts: Sequence[Mapping[str, Any]] = extension.get("extension", ()) if extension.get("url") == SETTINGS else ()
        for part in parts:
            if part.get("url") == name:
                found += [value for key, value in part.items() if key.startswith("value")]
    return found


def _chosen(ctx: Context, device: Mapping[str, Any], services: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The queues among the services that the device names, or all of them."""
    queues = {f"HealthcareService/{each['id']}": each for each in services if configuration.of(each) is not None}
    named = [stored.local(ctx, each) or "" for each in settings(device, "queue")]
    return [queues[name] for name in named if name in queues] if named else list(queues.values())
