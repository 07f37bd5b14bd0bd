"""Code systems: which are here, imports with their progress, and starting and ending them."""

from base64 import b64encode
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from ui import fhir
from ui.definitions.answers import rows
from ui.definitions.place import bp
from ui.fhir import Refused
from ui.page import page, part, see_other
from ui.texts import say

FORMATS = (
    ("csv", "Table (CSV)"), ("fhir", "CodeSystem of FHIR (JSON)"), ("snomed", "SNOMED CT (RF2)"), ("loinc", "LOINC"),
    ("icd-10", "ICD-10 of WHO (ClaML)"), ("icd-10-cm", "ICD-10-CM"), ("atc", "ATC"),
    ("tariff", "Tariff such as CCAM or NGAP"),
    ("rxnorm", "RxNorm (RRF)"),
)  # fmt: skip
STATES = {
    "waiting": ("Waits", "neutral"), "running": ("Is being read", "info"), "done": ("Done", "success"),
    "failed": ("Failed", "danger"), "cancelled": ("Cancelled", "neutral"),
}  # fmt: skip
_OPEN = ("waiting", "running")
_FIELDS = ("file", "system", "version", "name")


@bp.get("/systems/")
def systems(slug: str) -> ResponseReturnValue:
    """What is here, and the imports."""
    return _list()


@bp.get("/systems/imports")
def imports(slug: str) -> ResponseReturnValue:
    """The imports alone, as they stand now; the page asks again while one of them goes on."""
    return part("definitions/_imports.html", imports=_imports(fhir.call("$terminologies", method="GET")), states=STATES)


@bp.get("/systems/names")
def names(slug: str) -> ResponseReturnValue:
    """Options for a field that takes the URL of a code system."""
    option = Markup('<option value="%s">%s</option>')
    options = Markup("").join(option % each for each in known_systems().items())
    return Response(options, content_type="text/html; charset=utf-8")


def known_systems() -> dict[str, str]:
    """URL and title of what was imported and of what the clinic stored as CodeSystem."""
    imported = rows(fhir.call("$terminologies", method="GET"), "terminology")
    own = fhir.search("CodeSystem", {"_count": 200, "_elements": "url,title,name"}).resources
    held = [(each.get("system") or each.get("url"), each) for each in (*imported, *own)]
    return {str(url): str(each.get("title") or each.get("name", "")) for url, each in held if url}


@bp.post("/systems/import")
def start(slug: str) -> ResponseReturnValue:
    """Begins an import of the file that was sent, or of one in the server's folder."""
    said = {name: request.form.get(name, "").strip() for name in _FIELDS}
    asked: dict[str, Any] = {name: value for name, value in said.items() if value}
    if "system" in asked:
        asked["system"] = {"valueUri": asked["system"]}
    asked["format"] = fhir.code(request.form.get("format", ""))
    if "replace" in request.form:
        asked["replace"] = True
    sent = request.files.get("content")
    if sent is not None and sent.filename:
        data = b64encode(sent.read()).decode()
        asked["content"] = {"resourceType": "Binary", "contentType": "application/octet-stream", "data": data}
    elif not said["file"]:
        return _list(say("Choose a file."), said=said)
    try:
        fhir.call("$import-terminology", asked)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return _list(refused=error, said=said)
    return see_other(f"/t/{slug}/ui/definitions/systems/?done=begun")


@bp.post("/systems/remove")
def end(slug: str) -> ResponseReturnValue:
    """Takes a code system out of use, or cancels an import."""
    asked: dict[str, Any] = {}
    if request.form.get("job"):
        asked["job"] = {"valueId": request.form["job"]}
    else:
        asked["system"] = {"valueUri": request.form.get("system", "")}
        asked["version"] = request.form.get("version") or None
    try:
        fhir.call("$remove-terminology", asked)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return _list(refused=error)
    return see_other(f"/t/{slug}/ui/definitions/systems/?done=removed")


def _imports(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**each, "open": each["status"] in _OPEN} for each in rows(answer, "import")][:20]


def _list(problem: str = "", refused: Refused | None = None, said: dict[str, str] | None = None) -> Response:
    answer = fhir.call("$terminologies", method="GET")
    return page(
        "definitions/systems.html",
        status=422 if problem or refused else 200,
        held=list(rows(answer, "terminology")),
        imports=_imports(answer),
        states=STATES,
        formats=FORMATS,
        problem=problem,
        refused=refused,
        said=said or {},
        done=request.args.get("done", ""),
    )
