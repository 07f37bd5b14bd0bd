"""Device/[id]/$pair, Device/[id]/$unpair and Device/$sign-ins: boards and kiosks get in, and are put out again."""

from datetime import UTC, datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Forbidden, Unprocessable
from fhir_server.features.queue.places import KINDS, kind_of
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.security import devices
from fhir_server.security.roles import roles


def pair(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Device/[id]/$pair`: Parameters with `code`, `url` and `expires`. Raises `Forbidden`, `NotFound`, and
    `Unprocessable` for a Device that is no board or kiosk, stands nowhere or is out of use."""
    _check_manages(ctx)
    device = stored.get(ctx, "Device", call.id or "")
    kind = _usable(ctx, device)
    names = [str(each.get("name", "")) for each in device.get("deviceName", ())]
    name = next((each for each in names if each), f"Device/{device['id']}")
    code, until = devices.offer(ctx.db, ctx.tenant.id, f"Device/{device['id']}", kind, name=name, by=_caller(ctx))
    url = f"{ctx.base.removesuffix('/fhir')}/oauth/device?code={code}"
    return _parameters(
        ("code", "String", code), ("url", "Url", url), ("expires", "Instant", _instant(until.timestamp()))
    )


def unpair(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Device/[id]/$unpair`: whether there was anything to end. Raises `Forbidden`, `NotFound`."""
    _check_manages(ctx)
    ended = devices.end(ctx.db, ctx.tenant.id, f"Device/{call.id}", by=_caller(ctx))
    return _parameters(("ended", "Boolean", ended))


def sign_ins(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Device/$sign-ins`: each device with an account, and whether it is there. Raises `Forbidden`."""
    _check_manages(ctx)
    found = []
    for each in devices.sign_ins(ctx.db, ctx.tenant.id):
        state = "waiting" if each.coded else "paired" if each.since and each.status == "active" else "ended"
        parts = [
            {"name": "device", "valueReference": {"reference": each.device}},
            {"name": "kind", "valueCode": each.kind},
            {"name": "state", "valueCode": state},
        ]
        if each.since:
            parts.append({"name": "since", "valueInstant": _instant(each.since)})
            parts.append({"name": "lastSeen", "valueInstant": _instant(each.last_seen)})
        if each.browser:
            parts.append({"name": "browser", "valueString": each.browser})
        found.append({"name": "device", "part": parts})
    return {"resourceType": "Parameters", **({"parameter": found} if found else {})}


def _check_manages(ctx: Context) -> None:
    who = ctx.principal
    role = roles().get(who.user.role) if who.user is not None else None
    if not (who.scopes.operator if role is None else "users" in role.may):
        raise Forbidden("Only who may manage users may do this: an owner, a manager or the operator.")
    if not who.scopes.allows("Device", "u"):
        raise Forbidden("The token's scopes do not allow to update Device (needed: user/Device.u).")


def _usable(ctx: Context, device: dict[str, Any]) -> str:
    kind = kind_of(device)
    if kind not in devices.ROLES:
        text = f"Say what the device is for: type with a coding of {KINDS}, {' or '.join(devices.ROLES)}."
        raise Unprocessable(text, expression="Device.type", code="business-rule")
    if not (stored.local(ctx, device.get("location")) or "").startswith("Location/"):
        text = "Say where the device stands: location refers to a Location of this server."
        raise Unprocessable(text, expression="Device.location", code="required")
    if device.get("status", "active") != "active":
        raise Unprocessable("The device is out of use.", expression="Device.status", code="business-rule")
    return kind


def _caller(ctx: Context) -> str:
    who = ctx.principal
    return f"user:{who.user.id}" if who.user is not None else "operator"


def _instant(seconds: float) -> str:
    return format_instant(round(datetime.fromtimestamp(seconds, UTC).timestamp() * 1_000_000))


def _parameters(*values: tuple[str, str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, f"value{kind}": value} for name, kind, value in values],
    }


OPERATIONS = {
    ("Device", "pair"): Wired(pair),
    ("Device", "unpair"): Wired(unpair),
    ("Device", "sign-ins"): Wired(sign_ins),
}
