"""What is done with data that breaks profiles, by type of resource."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.definitions.answers import rows
from ui.definitions.place import bp
from ui.fhir import Refused
from ui.page import page, see_other

MODES = (
    ("", "As the profile's origin says"), ("reject", "Refuse it"), ("tag", "Keep it and list it for review"),
    ("advise", "Keep it and say so"), ("off", "Do not check"),
)  # fmt: skip
UNKNOWN = (("advise", "Keep it and say so"), ("reject", "Refuse it"), ("tag", "Keep it and list it for review"),
           ("off", "Do not check"))  # fmt: skip


@bp.get("/rules/")
def rules(slug: str) -> ResponseReturnValue:
    """The rules in force, and the form of one of them."""
    return _form(request.args.get("type", ""))


@bp.post("/rules/")
def save(slug: str) -> ResponseReturnValue:
    """Sets what holds for one type, or for all that are not named."""
    kind = request.form.get("type", "").strip()
    profiles = request.form.get("profile", "").split()
    mode, unknown = request.form.get("mode", ""), request.form.get("unknown", "")
    said: dict[str, Any] = {"mode": mode, "unknown": unknown, "profile": profiles}
    asked: dict[str, Any] = {
        "type": fhir.code(kind) if kind else None,
        "mode": fhir.code(mode) if mode else None,
        "unknown": fhir.code(unknown) if unknown else None,
        "profile": [{"valueCanonical": each} for each in profiles],
    }
    try:
        fhir.call("$change-validation-policy", asked)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return _form(kind, said, error)
    return see_other(f"/t/{slug}/ui/definitions/rules/?done=saved")


def _form(kind: str, said: dict[str, Any] | None = None, refused: Refused | None = None) -> ResponseReturnValue:
    held = [{**each, "profiles": each["all"].get("profile", [])} for each in
            rows(fhir.call("$validation-policy", method="GET"), "rules")]  # fmt: skip
    own = next((each for each in held if each.get("type", "") == kind), {})
    stored = {"mode": own.get("mode", ""), "unknown": own.get("unknown", "advise"), "profile": own.get("profiles", [])}
    shown = said or stored
    return page(
        "definitions/rules.html", status=422 if refused else 200, held=held, kind=kind, said=shown, refused=refused,
        modes=MODES, unknown=UNKNOWN, known=_profiles(), done=request.args.get("done", ""),
    )  # fmt: skip


def _profiles() -> list[tuple[str, str]]:
    """Canonical url and title of the profiles that the clinic has."""
    found = fhir.search("StructureDefinition", {"derivation": "constraint", "status": "active", "_count": 200,
                                                "_elements": "url,title,name,type"})  # fmt: skip
    known = [each for each in found.resources if "url" in each]
    shown = [(each["url"], f"{each.get('type', '')}: {each.get('title') or each.get('name', '')}") for each in known]
    return sorted(shown, key=lambda each: each[1])
