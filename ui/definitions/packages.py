"""Packages of definitions: what is installed, what the site has, and installing from there or from a file."""

from base64 import b64encode
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.definitions.answers import rows, values
from ui.definitions.place import bp
from ui.fhir import Refused
from ui.page import page, see_other
from ui.texts import say

_SWITCHES = ("replace", "without-missing", "without-invalid", "examples")


@bp.get("/")
def packages(slug: str) -> ResponseReturnValue:
    """What is installed and what could be."""
    return _list()


@bp.post("/packages/install")
def install(slug: str) -> ResponseReturnValue:
    """Installs a package of the site's cache, or the file that was sent; all of it or nothing."""
    asked: dict[str, Any] = {name: True for name in _SWITCHES if name in request.form}
    file = request.files.get("file")
    if file is not None and file.filename:
        data = b64encode(file.read()).decode()
        asked["content"] = {"resourceType": "Binary", "contentType": "application/gzip", "data": data}
    elif request.form.get("name"):
        asked["name"] = request.form["name"]
        asked["version"] = request.form.get("version") or None
    else:
        return _list(say("Choose a file."))
    try:
        answer = fhir.call("$install-package", asked)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return _list(refused=error, switches=asked)
    return _list(new=list(rows(answer, "package")), notes=values(answer, "note"), removed=values(answer, "removed"))


@bp.post("/packages/remove")
def remove(slug: str) -> ResponseReturnValue:
    """Takes a package's definitions out of use."""
    try:
        fhir.call("$remove-package", {"name": request.form.get("name"), "version": request.form.get("version")})
    except Refused as error:
        if error.status in (401, 403):
            raise
        return _list(refused=error)
    return see_other(f"/t/{slug}/ui/definitions/?done=removed")


def _list(
    problem: str = "",
    refused: Refused | None = None,
    new: list[dict[str, Any]] | None = None,
    notes: list[Any] | None = None,
    removed: list[Any] | None = None,
    switches: dict[str, Any] | None = None,
) -> Response:
    answer = fhir.call("$packages", method="GET")
    return page(
        "definitions/packages.html",
        status=422 if problem or refused else 200,
        installed=list(rows(answer, "package")),
        available=[each for each in rows(answer, "available") if not each.get("is-installed")],
        problem=problem,
        refused=refused,
        new=new,
        notes=notes or [],
        removed=removed or [],
        switches=switches or {},
        done=request.args.get("done", ""),
    )
