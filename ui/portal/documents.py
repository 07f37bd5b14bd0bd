"""Documents: the list, and each file as the server gives it to the person who is signed in."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Response, g
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.resource_json import decode
from ui import fhir, formats
from ui.fhir import Resource
from ui.portal import whose
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say

_SHOWN = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "text/plain": "txt",
          "application/pdf": "pdf"}  # fmt: skip
_SAVED = "application/octet-stream"
_LONGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class File:
    """A file of a resource: `holder` Type/id, `element` and `number` where it stands; `kind` of its media type."""

    holder: str
    element: str
    number: int
    title: str
    kind: str
    size: int = 0

    @property
    def path(self) -> str:
        """Its address below `/t/{slug}/ui/portal/`."""
        return f"files/{self.holder}/{self.element}/{self.number}"

    @property
    def word(self) -> str:
        """What kind of file it is, in a word."""
        kinds = {"application/pdf": "PDF", "image/png": say("Image"), "image/jpeg": say("Image"),
                 "text/plain": say("Text"), "text/html": say("Text")}  # fmt: skip
        return kinds.get(self.kind.partition(";")[0].strip().lower(), say("File"))


def files_of(resource: Resource, element: str) -> list[File]:
    """The files of a resource: `presentedForm` of a report, `content` of a DocumentReference."""
    found = []
    for number, each in enumerate(resource.get(element, ())):
        attachment = each.get("attachment", each)
        if attachment.get("data") or attachment.get("url"):
            found.append(File(
                f"{resource['resourceType']}/{resource['id']}", element, number, str(attachment.get("title", "")),
                str(attachment.get("contentType", "")), int(attachment.get("size") or 0),
            ))  # fmt: skip
    return found


@bp.get("/documents")
def documents(slug: str) -> ResponseReturnValue:
    """Documents, the newest first."""
    params = {"patient": whose.patient(), "status": "current", "_sort": "-date", "_count": 100}
    found = fhir.search("DocumentReference", params).resources
    listed = [{
        "title": str(each.get("description") or formats.coded(each.get("type")) or say("Document")),
        "type": formats.coded(each.get("type")), "at": each.get("date"),
        "by": ", ".join(filter(None, (str(a.get("display", "")) for a in each.get("author", ())))),
        "files": files_of(each, "content"),
    } for each in found]  # fmt: skip
    return shown("documents.html", documents=listed)


@bp.get("/files/<kind>/<id_>/<element>/<int:number>")
def file(slug: str, kind: str, id_: str, element: str, number: int) -> ResponseReturnValue:
    """A file. Pictures, text and PDF are shown by the browser, what else there is is saved; nothing in it can run."""
    if (kind, element) not in (("DocumentReference", "content"), ("DiagnosticReport", "presentedForm")):
        raise whose.Missing
    resource = fhir.read(f"{kind}/{id_}")
    whose.check_own(resource, "subject")
    places = resource.get(element, [])
    if number >= len(places):
        raise whose.Missing
    attachment = places[number].get("attachment", places[number])
    body, given = _content(attachment)
    named = given.partition(";")[0].strip().lower()
    ending = _SHOWN.get(named)
    title = str(attachment.get("title") or resource.get("description") or say("Document"))
    response = Response(body, content_type=given if ending else _SAVED)
    name = _file_name(title, ending)
    response.headers.set("Content-Disposition", "inline" if ending else "attachment", filename=name)
    # A browser's own viewer of PDF does not open in a sandbox, and lets nothing of the file near the page.
    sandbox = "" if named == "application/pdf" else "; sandbox"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{sandbox}"
    )
    return response


def _content(attachment: Mapping[str, Any]) -> tuple[bytes, str]:
    """(content, media type) of an attachment: in it, or in a Binary of this server. Raises `Missing` for what is
    elsewhere."""
    kind = str(attachment.get("contentType") or _SAVED)
    if attachment.get("data"):
        return b64decode(str(attachment["data"]), validate=False), kind
    local = _binary(str(attachment.get("url", "")))
    if local is None:
        raise whose.Missing
    answer = fhir.raw("GET", local, headers={"accept": "application/fhir+json"})
    if answer.status != 200 or answer.body is None:
        raise whose.Missing
    binary = decode(answer.body)
    return b64decode(str(binary.get("data", "")), validate=False), str(binary.get("contentType") or kind)


def _binary(url: str) -> str | None:
    """`Binary/id` of an address on this server."""
    base = f"{browser.origin()}/t/{g.tenant.slug}/fhir/"
    path = url.removeprefix(base) if url.startswith(base) else url
    return path if re.fullmatch(r"Binary/[A-Za-z0-9.-]{1,64}", path) and not urlsplit(path).scheme else None


def _file_name(title: str, ending: str | None) -> str:
    plain = re.sub(r"[^\w .-]+", " ", title).strip()[:80] or "document"
    return f"{plain}.{ending}" if ending and not plain.lower().endswith(f".{ending}") else plain
