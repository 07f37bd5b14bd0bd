"""A batch or transaction to try: what is sent, and what comes back for each entry."""

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.resource_json import decode
from ui import fhir
from ui.console import json_view, places
from ui.console.curl import command
from ui.console.place import bp
from ui.page import page
from ui.texts import say

_EXAMPLE = {
    "resourceType": "Bundle", "type": "batch",
    "entry": [{"request": {"method": "GET", "url": "HealthcareService?_count=3&_elements=name"}}],
}  # fmt: skip
_MOST = 2_000_000


@bp.get("/bundle")
def bundle(slug: str) -> ResponseReturnValue:
    """The editor with a small batch."""
    return page("console/bundle.html", text=json_view.pretty(_EXAMPLE), wrong="", view=None, status_line="",
                curl=command("POST", "", body="bundle.json"))  # fmt: skip


@bp.post("/bundle")
def send(slug: str) -> ResponseReturnValue:
    """Sends it as it stands, and shows the answer whatever it is."""
    text = request.form.get("json", "")[:_MOST].replace("\r\n", "\n")
    place = places.syntax_error(text)
    wrong = say("This is not JSON: line %(line)s, column %(column)s.", line=place[0], column=place[1]) if place else ""
    answer = None if wrong else fhir.raw("POST", "", body=text.encode())
    view = json_view.rendered(decode(answer.body or b"{}"), f"/t/{slug}/ui/console") if answer else None
    return page(
        "console/bundle.html", status=422 if wrong else 200, text=text, wrong=wrong, view=view,
        status_line=str(answer.status) if answer else "", curl=command("POST", "", body="bundle.json"),
    )  # fmt: skip
