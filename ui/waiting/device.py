"""Who looks at the pages of this room: a device that is paired, or somebody of the staff who looks at what it shows."""

import json
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, jsonify, request

from fhir_server.core.errors import NotFound
from ui import fhir, files, page, texts

_STAFF = ("owner", "manager", "receptionist", "nurse", "practitioner")


def device_id(role: str) -> str | None:
    """The id of the device whose page is asked for: that of the browser itself, or for staff the one in `device`. None
    when nobody is signed in. Raises `NotFound` for everybody else."""
    who = page.visitor()
    if who is None:
        return None
    if who.user.role == role and who.user.fhir_user:
        return who.user.fhir_user.partition("/")[2]
    if who.user.role in _STAFF and request.args.get("device"):
        return request.args["device"][:64]
    raise NotFound("There is no such page.")


def pairing(slug: str) -> str:
    """Where a browser that is no device yet becomes one."""
    return f"/t/{slug}/oauth/device"


def ended(slug: str) -> Response:
    """The answer to a page whose sign-in is over: it leaves at once."""
    response = jsonify(pair=pairing(slug))
    response.status_code = 401
    return response


def waiting_room(device: str, stamp: str = "") -> dict[str, Any]:
    """What the device shows, as plain values: those of `$waiting-room` by name, with `queues`, `calls` and `languages`.
    Raises `Refused`."""
    answer = fhir.call(f"Device/{device}/$waiting-room", {"stamp": stamp or None}, method="GET")
    found: dict[str, Any] = {}
    for name, value in _pairs(answer["parameter"]):
        if name in ("queue", "call", "language"):
            found.setdefault(f"{name}s", []).append(value)
        else:
            found[name] = value
    if "timezone" in found:
        found = {"queues": [], "calls": [], "ahead": _ahead(str(found["timezone"])), **found}
    return found


def _ahead(zone: str) -> int:
    """Minutes by which the clinic's clock is ahead of UTC now. The rules of zones in a television are years old."""
    return round((page.now().astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds() / 60)


def values(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Parameters, or parts of one, as values by name."""
    return dict(_pairs(parameters))


def _pairs(parameters: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(str(each["name"]), _value(each)) for each in parameters]


def _value(parameter: Mapping[str, Any]) -> Any:
    if "part" in parameter:
        return values(parameter["part"])
    found = next((value for name, value in parameter.items() if name.startswith("value")), None)
    return found.get("reference", "") if isinstance(found, dict) else found


def words(sentences: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Sentences by key in every language, for pages that change theirs without being loaded again."""
    return {
        code: {key: texts.translate(code, "waiting", sentence) for key, sentence in sentences.items()}
        for code in ("fr", "en", "es", "ar")
    }


def version(sentences: Mapping[str, str], *names: str) -> str:
    """A text that is another one when the words or the files of a page are: then the page loads itself anew."""
    said = json.dumps(words(sentences), sort_keys=True)
    return sha256(" ".join([said, *(files.static(f"waiting/{name}") for name in names)]).encode()).hexdigest()[:12]
