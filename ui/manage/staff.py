"""Staff: who has an account, with which role; invitations; changing and ending accounts.

What the person may do follows from the answer of `$accounts` (`changeable`), and from `manages` of the role.
"""

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.security.roles import roles
from ui import fhir
from ui.fhir import Refused
from ui.formats import person
from ui.manage import saving
from ui.manage.parts import Problems
from ui.manage.place import bp
from ui.page import me, page, see_other, toast
from ui.texts import language, say

# Roles that are no people's.
_NOT_PEOPLE = ("service", "guest", "board", "kiosk")
# A person who is stored along with the account is a Practitioner where the role takes one.
_FIELDS = {"email": "email", "role": "role", "person": "person", "language": "language", "name": "name",
           "resource": "family"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """An account as the page shows it. `person`: `Type/id`, or ""; `seen`: an instant, or ""."""

    id: str
    email: str
    name: str
    role: str
    status: str
    second_factor: bool
    changeable: bool
    person: str
    seen: str


@bp.get("/staff/")
def staff(slug: str) -> ResponseReturnValue:
    """Accounts of staff by address; `text` and `role` narrow them."""
    text, role = request.args.get("text", "")[:100], request.args.get("role", "")
    wanted = [role] if role in _people_roles() else _people_roles()
    asked = {"text": text or None, "role": wanted, "after": request.args.get("after") or None, "_count": 100}
    answer = fhir.call("$accounts", asked, method="GET")
    rows = [_member(each) for each in answer.get("parameter", ()) if each["name"] == "account"]
    onward = next((each["valueId"] for each in answer.get("parameter", ()) if each["name"] == "next"), "")
    return page(
        "manage/staff.html", rows=rows, next=onward, text=text, role=role, roles=_roles(_people_roles()),
        mine=_roles(_given()), people=_people([row.person for row in rows]), own=me().user.id,
        done=request.args.get("done", ""),
    )  # fmt: skip


@bp.get("/staff/invite")
def invitation(slug: str) -> ResponseReturnValue:
    """The form of an invitation."""
    said = {"email": "", "role": "receptionist", "name": "", "language": "", "person": "", "given": "", "family": ""}
    return _invite_form(said, Problems())


@bp.post("/staff/invite")
def invite(slug: str) -> ResponseReturnValue:
    """Makes the account and sends the letter."""
    names = ("email", "role", "language", "person", "given", "family")
    said = {name: " ".join(request.form.get(name, "").split()) for name in names}
    problems = Problems()
    if "@" not in said["email"]:
        problems.add("email", say("Enter an e-mail address."))
    if said["person"] == "new" and not said["family"]:
        problems.add("family", say("Enter the family name."))
    if said["role"] not in _given():
        problems.add("role", say("Choose one of the list."))
    if problems:
        return _invite_form(said, problems)
    asked: dict[str, Any] = {"email": said["email"], "role": fhir.code(said["role"])}
    if said["language"]:
        asked["language"] = fhir.code(said["language"])
    if said["person"] == "new":
        asked["resource"] = _person(said)
        asked["name"] = f"{said['given']} {said['family']}".strip()
    elif said["person"]:
        asked["person"] = fhir.reference(said["person"])
        asked["name"] = _people([said["person"]]).get(said["person"])
    try:
        fhir.call("$invite", asked, key=request.form.get("idempotency_key") or None)
    except Refused as error:
        refusal = saving.note(error, problems, {})
        at = error.expression.removeprefix("http.")
        if at in _FIELDS:
            taken = error.status == 409 and at == "email"
            problems.add(_FIELDS[at], say("There is already an account with this address.") if taken else refusal[0])
        return _invite_form(said, problems, refusal)
    return see_other(f"/t/{slug}/ui/manage/staff/?done=invited")


@bp.post("/staff/<account>/role")
def change_role(slug: str, account: str) -> ResponseReturnValue:
    """Gives an account another role."""
    asked = {"account": {"valueId": account}, "role": fhir.code(request.form.get("role", ""))}
    person_ = request.form.get("person", "")
    if person_:
        asked["person"] = fhir.reference(person_)
    fhir.call("$change-account", asked)
    return see_other(f"/t/{slug}/ui/manage/staff/?done=role")


@bp.post("/staff/<account>/disable")
def disable(slug: str, account: str) -> ResponseReturnValue:
    """Ends an account; the message offers to take it back."""
    fhir.call("$disable-account", {"account": {"valueId": account}})
    answer = see_other(f"/t/{slug}/ui/manage/staff/?done=disabled")
    return toast(answer, say("The account is closed."), undo=f"/t/{slug}/ui/manage/staff/{account}/enable")


@bp.post("/staff/<account>/enable")
def enable(slug: str, account: str) -> ResponseReturnValue:
    """Lets a disabled account in again."""
    fhir.call("$enable-account", {"account": {"valueId": account}})
    return see_other(f"/t/{slug}/ui/manage/staff/?done=enabled")


@bp.post("/staff/<account>/reset")
def reset(slug: str, account: str) -> ResponseReturnValue:
    """Sends a link for a new password; with `factors` the second factors go, too."""
    fhir.call("$reset-account", {"account": {"valueId": account}, "factors": "factors" in request.form})
    return see_other(f"/t/{slug}/ui/manage/staff/?done=reset")


def role_title(name: str) -> str:
    """A role in the language of the request."""
    known = roles().get(name)
    return known.titles.get(language(), name) if known else name


def _member(parameter: dict[str, Any]) -> Member:
    given = {each["name"]: next(v for k, v in each.items() if k.startswith("value")) for each in parameter["part"]}
    return Member(
        id=given["id"], email=given.get("email") or given.get("phone", ""), name=given.get("name", ""),
        role=given["role"], status=given["status"],
        second_factor=given["second-factor"], changeable=given["changeable"],
        person=given.get("person", {}).get("reference", ""), seen=given.get("last-seen", ""),
    )  # fmt: skip


def _given() -> list[str]:
    """Roles of staff that the person may give, as the server sees it."""
    return [name for name in roles()[me().user.role].manages if name in _people_roles() and name != "operator"]


def _people_roles() -> list[str]:
    """The roles of staff."""
    return [name for name, role in roles().items() if not role.personal and name not in _NOT_PEOPLE]


def _roles(names: list[str]) -> list[tuple[str, str]]:
    return [(name, role_title(name)) for name in names]


def _people(references: list[str]) -> dict[str, str]:
    """Names of these people, by `Type/id`."""
    wanted = list(dict.fromkeys(each for each in references if each))
    found = fhir.gather(wanted) if wanted else []
    names = {}
    for reference, resource in zip(wanted, found, strict=True):
        if not isinstance(resource, Refused):
            names[reference] = person(resource.get("name")) or str(resource.get("practitioner", {}).get("display", ""))
    return names


def _person(said: dict[str, str]) -> dict[str, Any]:
    kind = "Practitioner" if "Practitioner" in roles()[said["role"]].fhir_user else "Person"
    name = {"use": "official", "family": said["family"], **({"given": said["given"].split()} if said["given"] else {})}
    return {"resourceType": kind, "active": True, "name": [name],
            "telecom": [{"system": "email", "value": said["email"], "use": "work"}]}  # fmt: skip


def _invite_form(
    said: dict[str, str], problems: Problems, refusal: tuple[str, str] | None = None
) -> Response:
    found = fhir.search("Practitioner", {"active": "true", "_count": 300, "_sort": "family", "_elements": "name"})
    people = [(f"Practitioner/{each['id']}", person(each.get("name")) or each["id"]) for each in found.resources]
    return page(
        "manage/invite.html", status=422 if problems or refusal else 200, said=said, problems=problems.by_field,
        refusal=refusal, roles=_roles(_given()), people=people,
    )  # fmt: skip
