"""The blueprint of the room, and where its pages are."""

import re
from urllib.parse import urlencode

from flask import g, request

from fhir_server.core.errors import NotFound
from ui import page
from ui.room import room

bp = room("doctor", roles=("practitioner", "nurse"))
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")


@bp.before_request
def check_ids() -> None:
    """Addresses name resources by id; what is none names nothing."""
    named = [value for name, value in (request.view_args or {}).items() if name not in ("slug", "kind", "action")]
    if not all(is_id(str(value)) for value in [*named, *filter(None, [request.args.get("visit")])]):
        raise NotFound("There is no such page.")


def is_id(text: str) -> bool:
    """Whether a text is a FHIR id. https://hl7.org/fhir/R4/datatypes.html#id"""
    return bool(_ID.match(text))


def here(path: str = "") -> str:
    """The address of a page of this room."""
    return f"/t/{g.tenant.slug}/ui/doctor/{path}"


def record(patient_id: str, visit_id: str = "", work: str = "") -> str:
    """The address of a patient's record, in a visit, with one of the forms open."""
    asked = {name: value for name, value in (("visit", visit_id), ("work", work)) if value}
    return here(f"patient/{patient_id}") + (f"?{urlencode(asked)}" if asked else "")


def professional() -> str:
    """`Practitioner/id` (or PractitionerRole) of who is signed in; "" for an account that is linked to nobody."""
    return page.me().user.fhir_user or ""


def signer() -> dict[str, str]:
    """The Reference to who is signed in, with the name."""
    return {"reference": professional(), "display": page.me().name}
