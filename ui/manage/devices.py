"""Boards and kiosks: the screens and machines of the waiting rooms, and the code that joins a machine to its Device."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import segno
from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.fhir import Refused
from ui.manage import parts, saving
from ui.manage.parts import Part, Problems
from ui.manage.place import bp
from ui.manage.queues import all_queues
from ui.manage.services import name_of
from ui.page import page, part, see_other
from ui.texts import say

_KIND = "urn:salam:CodeSystem:device-kind"
_ROOM = "urn:salam:StructureDefinition:waiting-room"
KINDS = (("board", "Board: shows who is called"), ("kiosk", "Kiosk: gives tickets"))
LANGUAGES = (("fr", "Français"), ("ar", "العربية"), ("en", "English"), ("es", "Español"))
_PARTS = (
    Part("queue", "valueReference", "references", "Queues"),
    Part("language", "valueCode", "codes", "Languages", choices=LANGUAGES),
)
_SWITCHES = (Part("sound", "valueBoolean", "flag", "Sound"), Part("speech", "valueBoolean", "flag", "Speech"))
_LABELS = {"name": "Name", "location": "Where", "queue": "Queues", "language": "Languages"}


@bp.get("/devices/")
def devices(slug: str) -> ResponseReturnValue:
    """Every board and kiosk, and whether a machine is joined to it."""
    kinds = ",".join(f"{_KIND}|{kind}" for kind, _ in KINDS)
    found = fhir.search("Device", {"type": kinds, "status": "active", "_count": 200})
    states = _sign_ins()
    rows = [
        {"id": each["id"], **_shown(each), "kind": _kind(each), "sign_in": states.get(f"Device/{each['id']}", {})}
        for each in found.resources
    ]
    return page("manage/devices.html", rows=rows, kinds=dict(KINDS), places=dict(_places()))


@bp.get("/devices/new")
def new_device(slug: str) -> ResponseReturnValue:
    """The empty form."""
    kind = request.args.get("kind", "board")
    said = {"name": "", "location": "", "queue": [], "language": [], "sound": True, "speech": False, "kind": kind}
    return _form({}, said, Problems())


@bp.post("/devices/new")
def create_device(slug: str) -> ResponseReturnValue:
    """Stores a new board or kiosk, and shows the code for its machine."""
    said, problems = _typed(), Problems()
    kind = said["kind"] if said["kind"] in dict(KINDS) else "board"
    device: dict[str, Any] = {
        "resourceType": "Device", "status": "active", "type": {"coding": [{"system": _KIND, "code": kind}]},
    }  # fmt: skip
    _apply(device, said, problems)
    if problems:
        return _form({}, said, problems)
    try:
        made = fhir.create(device)
    except Refused as error:
        return _form({}, said, problems, saving.note(error, problems, device))
    return see_other(f"/t/{slug}/ui/manage/devices/{made['id']}?saved=new")


@bp.get("/devices/<device_id>")
def device(slug: str, device_id: str) -> ResponseReturnValue:
    """The form of a device."""
    resource = fhir.read(f"Device/{device_id}")
    return _form(resource, {**_shown(resource), "kind": _kind(resource)}, Problems())


@bp.post("/devices/<device_id>")
def save_device(slug: str, device_id: str) -> ResponseReturnValue:
    """Stores what the form says, unless somebody else changed the device meanwhile."""
    resource = fhir.read(f"Device/{device_id}")
    said, problems = _typed(), Problems()
    _apply(resource, said, problems)
    again = saving.store(resource, said, problems, shown=_shown, labels=_LABELS, form=_form)
    return again or see_other(f"/t/{slug}/ui/manage/devices/{device_id}?saved=1")


@bp.post("/devices/<device_id>/pair")
def pair(slug: str, device_id: str) -> ResponseReturnValue:
    """A code with which a machine becomes this device, once."""
    answer = fhir.call(f"Device/{device_id}/$pair")
    given = {each["name"]: next(v for k, v in each.items() if k.startswith("value")) for each in answer["parameter"]}
    picture = BytesIO()
    segno.make(given["url"], error="m").save(picture, kind="png", scale=6, border=3)
    # A picture as data: its address would be a secret in a log.
    shown = {**given, "picture": f"data:image/png;base64,{b64encode(picture.getvalue()).decode()}"}
    if request.headers.get("HX-Request"):
        return part("manage/_pairing.html", pairing=shown)
    resource = fhir.read(f"Device/{device_id}")
    return _form(resource, {**_shown(resource), "kind": _kind(resource)}, Problems(), pairing=shown)


@bp.post("/devices/<device_id>/unpair")
def unpair(slug: str, device_id: str) -> ResponseReturnValue:
    """Signs the machine out, at once."""
    fhir.call(f"Device/{device_id}/$unpair")
    return see_other(f"/t/{slug}/ui/manage/devices/?done=unpaired")


def _sign_ins() -> dict[str, dict[str, Any]]:
    found = {}
    for each in fhir.call("Device/$sign-ins", method="GET").get("parameter", ()):
        if each.get("name") == "device":
            said = {p["name"]: next(v for k, v in p.items() if k.startswith("value")) for p in each["part"]}
            found[str(said.pop("device", {}).get("reference", ""))] = said
    return found


def _kind(resource: dict[str, Any]) -> str:
    codings = resource.get("type", {}).get("coding", ())
    return next((str(each.get("code")) for each in codings if each.get("system") == _KIND), "board")


def _shown(resource: dict[str, Any]) -> dict[str, Any]:
    extension = parts.extension_of(resource, _ROOM)
    stated = {each.name: [parts.value_of(p) for p in parts.parts_of(extension, each.name)] for each in _SWITCHES}
    return {
        "name": next((str(each.get("name", "")) for each in resource.get("deviceName", ())), ""),
        "location": str(resource.get("location", {}).get("reference", "")),
        **parts.shown(extension, _PARTS),
        "sound": stated["sound"] != [False],
        "speech": stated["speech"] == [True],
    }


def _typed() -> dict[str, Any]:
    return {
        "name": " ".join(request.form.get("name", "").split()), "location": request.form.get("location", ""),
        "kind": request.form.get("kind", "board"), **parts.typed(request.form, _PARTS),
        **{each.name: each.name in request.form for each in _SWITCHES},
    }  # fmt: skip


def _apply(resource: dict[str, Any], said: dict[str, Any], problems: Problems) -> None:
    if not 0 < len(said["name"]) <= 200:
        problems.add("name", say("Give it a name by which you find it, such as: Screen on the first floor."))
    given = parts.values(said, _PARTS, problems)
    old = parts.extension_of(resource, _ROOM)
    made = parts.written(old, _ROOM, _PARTS, given)
    kept = [each for each in made["extension"] if each.get("url") not in ("sound", "speech")]
    made["extension"] = [*kept, *({"url": each.name, each.element: said[each.name]} for each in _SWITCHES)]
    parts.put(resource, made)
    others = resource.get("deviceName", [])[1:]
    resource["deviceName"] = [{"name": said["name"], "type": "user-friendly-name"}, *others]
    if said["location"]:
        resource["location"] = {"reference": said["location"]}
    else:
        resource.pop("location", None)


def _places() -> list[tuple[str, str]]:
    found = fhir.search("Location", {"status": "active", "_count": 200}).resources
    places = [(f"Location/{each['id']}", str(each.get("name") or each["id"])) for each in found]
    return sorted(places, key=lambda place: place[1])


def _form(
    resource: dict[str, Any],
    said: dict[str, Any],
    problems: Problems,
    refusal: tuple[str, str] | None = None,
    overtaken: list[tuple[str, str]] | None = None,
    pairing: dict[str, Any] | None = None,
) -> Response:
    queues = [(f"HealthcareService/{each['id']}", name_of(each)) for each in all_queues()]
    return page(
        "manage/device.html",
        status=422 if problems or refusal else 409 if overtaken is not None else 200,
        resource=resource,
        said=said,
        problems=problems.by_field,
        refusal=refusal,
        overtaken=overtaken,
        pairing=pairing,
        kinds=KINDS,
        languages_=LANGUAGES,
        queues=queues,
        places=_places(),
        sign_in=_sign_ins().get(f"Device/{resource['id']}", {}) if resource.get("id") else {},
        title=said["name"] if resource.get("id") else say("New board or kiosk"),
        saved=request.args.get("saved", ""),
    )
