"""Writing: a resource is edited as JSON, validated by the server, and stored over the version that was seen."""

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import FhirError, NotFound
from fhir_server.core.resource_json import decode
from ui import fhir
from ui.console import places
from ui.console.curl import command
from ui.console.json_view import pretty
from ui.console.place import bp
from ui.console.searching import known_type
from ui.fhir import Refused
from ui.page import may_do, page, part, see_other, sentence
from ui.texts import say

_MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class Located:
    """An issue with its line. `severity`: fatal, error, warning, information."""

    severity: str
    text: str
    path: str
    line: int


@bp.get("/new/<resource_type>")
def new(slug: str, resource_type: str) -> ResponseReturnValue:
    """The editor with an empty resource."""
    known_type(resource_type)
    _must(resource_type, "c")
    return _editor(resource_type, "", "", pretty({"resourceType": resource_type}))


@bp.get("/<resource_type>/<resource_id>/edit")
def edit(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """The editor with a resource."""
    known_type(resource_type)
    _must(resource_type, "u")
    found = fhir.read(f"{resource_type}/{resource_id}")
    return _editor(resource_type, resource_id, found["meta"]["versionId"], pretty(found))


@bp.post("/validate/<resource_type>")
def validate(slug: str, resource_type: str) -> ResponseReturnValue:
    """The issues of the edited text, with their lines."""
    known_type(resource_type)
    text = _text()
    resource, issues = _parsed(text, resource_type)
    if resource is not None:
        profile = request.form.get("profile", "").strip()
        query = [("profile", profile)] if profile else []
        answer = fhir.raw("POST", f"{resource_type}/$validate", query, body=text.encode())
        issues = _located(decode(answer.body or b"{}"), text, resource_type)
    fine = not any(each.severity in ("error", "fatal") for each in issues)
    return part("console/_issues.html", issues=issues, fine=fine, refusal="")


@bp.post("/new/<resource_type>")
def create(slug: str, resource_type: str) -> ResponseReturnValue:
    """Stores a new resource."""
    known_type(resource_type)
    _must(resource_type, "c")
    text = _text()
    resource, issues = _parsed(text, resource_type)
    if resource is None:
        return _editor(resource_type, "", "", text, issues, say("Nothing was saved."))
    try:
        made = fhir.create(resource)
    except Refused as error:
        return _refused(error, resource_type, "", "", text)
    return see_other(f"/t/{slug}/ui/console/{resource_type}/{made['id']}?saved=new")


@bp.post("/<resource_type>/<resource_id>/edit")
def save(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """Stores the next version, if the one that was edited is still the current one."""
    known_type(resource_type)
    _must(resource_type, "u")
    text, version = _text(), request.form.get("version", "")
    resource, issues = _parsed(text, resource_type)
    if resource is None:
        return _editor(resource_type, resource_id, version, text, issues, say("Nothing was saved."))
    if resource.get("id") != resource_id:
        line = places.line_of(f"{resource_type}.id", places.lines(text, resource_type))
        wrong = Located("error", say("The id must stay %(id)s.", id=resource_id), "id", line)
        return _editor(resource_type, resource_id, version, text, [wrong], say("Nothing was saved."))
    try:
        fhir.update(resource, if_match=version or "0")
    except Refused as error:
        return _refused(error, resource_type, resource_id, version, text)
    return see_other(f"/t/{slug}/ui/console/{resource_type}/{resource_id}?saved=1")


@bp.post("/<resource_type>/<resource_id>/delete")
def delete(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """Deletes a resource, if the version that was seen is still the current one."""
    known_type(resource_type)
    _must(resource_type, "d")
    fhir.delete(f"{resource_type}/{resource_id}", if_match=request.form.get("version") or None)
    return see_other(f"/t/{slug}/ui/console/{resource_type}?_sort=-_lastUpdated")


def _must(resource_type: str, letter: str) -> None:
    if not may_do(resource_type, letter):
        raise NotFound("There is no such page.")


def _text() -> str:
    return request.form.get("json", "")[:_MOST].replace("\r\n", "\n")


def _parsed(text: str, resource_type: str) -> tuple[dict[str, Any] | None, list[Located]]:
    place = places.syntax_error(text)
    if place is not None:
        told = say("This is not JSON: line %(line)s, column %(column)s.", line=place[0], column=place[1])
        return None, [Located("fatal", told, "", place[0])]
    try:
        found = decode(text.encode())
    except FhirError as error:
        return None, [Located("fatal", str(error), "", 1)]
    if not isinstance(found, dict) or found.get("resourceType") != resource_type:
        told = say("The resourceType must be %(type)s.", type=resource_type)
        return None, [Located("fatal", told, "resourceType", 1)]
    return found, []


def _located(outcome: dict[str, Any], text: str, resource_type: str) -> list[Located]:
    try:
        known = places.lines(text, resource_type)
    except (ValueError, IndexError, RecursionError):
        known = {}
    found = []
    for each in outcome.get("issue", ()):
        told = str(each.get("details", {}).get("text") or each.get("diagnostics") or each.get("code", ""))
        for path in each.get("expression", ()) or [""]:
            line = places.line_of(str(path), known)
            found.append(Located(str(each.get("severity", "error")), told, str(path), line))
    return found


def _refused(error: Refused, resource_type: str, resource_id: str, version: str, text: str) -> Response:
    if error.status in (401, 403, 404, 410):
        raise error
    issues = _located(error.outcome, text, resource_type)
    return _editor(resource_type, resource_id, version, text, issues, sentence(error), error.status)


def _editor(
    resource_type: str,
    resource_id: str,
    version: str,
    text: str,
    issues: list[Located] | None = None,
    refusal: str = "",
    status: int = 422,
) -> Response:
    path = f"{resource_type}/{resource_id}" if resource_id else resource_type
    return page(
        "console/edit.html", status=status if refusal else 200, type=resource_type, id=resource_id, version=version,
        text=text, issues=issues, refusal=refusal, fine=False, profiles=known_type(resource_type).profiles,
        curl=command("PUT" if resource_id else "POST", path, body="resource.json", if_match=version),
    )  # fmt: skip
