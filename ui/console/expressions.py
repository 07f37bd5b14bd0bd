"""FHIRPath tried out on a resource: what an expression gives, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.resource_json import encode
from ui import fhir
from ui.console.place import bp
from ui.console.searching import known_type
from ui.fhir import Refused
from ui.page import part

_LONGEST = 4000
_MOST = 100


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a result. `place`: its path in the resource, "" for what is computed; `text`: its value."""

    type: str
    place: str
    text: str


@bp.get("/<resource_type>/<resource_id>/fhirpath")
def fhirpath(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """What the expression gives; a refusal tells where in the expression it is wrong."""
    known_type(resource_type)
    expression = request.args.get("expression", "").strip()[:_LONGEST]
    items: list[Item] = []
    refused: Refused | None = None
    if expression:
        try:
            answer = fhir.call(f"{resource_type}/{resource_id}/$fhirpath", {"expression": expression})
        except Refused as error:
            if error.status in (401, 403, 404, 410):
                raise
            refused = error
        else:
            items = [_item(each) for result in answer.get("parameter", ()) for each in result.get("part", ())
                     if each["name"] == "item"]  # fmt: skip
    return part(
        "console/_fhirpath.html", expression=expression, items=items[:_MOST], more=len(items) - _MOST, refused=refused
    )


def _item(parameter: Mapping[str, Any]) -> Item:
    parts = {each["name"]: each for each in parameter.get("part", ())}
    held = parts.get("value", {})
    value = held.get("resource") or next((v for k, v in held.items() if k.startswith("value")), None)
    text = str(parts["json"]["valueString"]) if "json" in parts else _text(value)
    return Item(str(parts["type"]["valueString"]), str(parts.get("location", {}).get("valueString", "")), text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else encode(value).decode()
