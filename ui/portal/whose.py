"""Whose record the patient's pages show: one's own, or that of a relative for whom one acts."""

from typing import Any

from flask import Response, request

from fhir_server.authorization_server import browser
from ui import fhir, formats, page
from ui.fhir import Refused, Resource

_COOKIE = "salam-whose-"


class Missing(Refused):
    """There is no such thing in the record that is open."""

    def __init__(self) -> None:
        super().__init__(404, {"resourceType": "OperationOutcome", "issue": []})


def all_ids() -> tuple[str, ...]:
    """The ids of the patients whose records the person may open, one's own first."""
    user = page.me().user
    own = (user.fhir_user or "").partition("/")
    first = [own[2]] if own[0] == "Patient" else []
    return tuple(dict.fromkeys([*first, *user.patients]))


def patient_id() -> str:
    """The id of the patient whose record is open."""
    known = all_ids()
    chosen = request.cookies.get(_COOKIE + page.tenant().slug, "")
    return chosen if chosen in known else known[0]


def patient() -> str:
    """`Patient/id` of the record that is open."""
    return f"Patient/{patient_id()}"


def is_own() -> bool:
    """Whether it is the person's own record."""
    return page.me().user.fhir_user == patient()


def is_proxy() -> bool:
    """Whether the account is one that acts for others, which gives no consents."""
    return page.me().user.role == "proxy"


def choose(response: Response, id_: str) -> Response:
    """Open the record of this patient from now on, in this browser session; for an id of somebody else's, nothing."""
    if id_ in all_ids():
        slug = page.tenant().slug
        response.set_cookie(
            _COOKIE + slug,
            id_,
            path=f"/t/{slug}/ui/",
            httponly=True,
            samesite="Lax",
            secure=browser.origin().startswith("https://"),
        )
    return response


def people() -> list[dict[str, Any]]:
    """Who can be chosen: `id`, `name`, `chosen`. One's own record alone is no choice: []."""
    ids = all_ids()
    if len(ids) < 2:
        return []
    chosen = patient_id()
    found = fhir.search("Patient", {"_id": ",".join(ids), "_elements": "name,birthDate", "_count": len(ids)})
    named = {each["id"]: each for each in found.resources}
    return [{"id": id_, "name": formats.person(named[id_].get("name")), "chosen": id_ == chosen}
            for id_ in ids if id_ in named]  # fmt: skip


def resource() -> Resource:
    """The Patient whose record is open. Raises `Refused` for one that is not there any more."""
    return fhir.read(patient())


def check_own(resource: Resource, *names: str) -> None:
    """Raise `Refused` (404) unless the resource names the open patient in one of these elements: what a relative's
    record holds is not shown in another's."""
    wanted = patient()
    for name in names:
        value = resource.get(name, [])
        for each in value if isinstance(value, list) else [value]:
            target = each.get("actor", each) if isinstance(each, dict) else {}
            if str(target.get("reference", "")).endswith(wanted):
                return
    raise Missing
