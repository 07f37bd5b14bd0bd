"""What is kept about the patient: all of it to take along, and who has looked at it."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from flask import Response, request, stream_with_context
from flask.typing import ResponseReturnValue

from fhir_server.core.resource_json import encode
from ui import fhir, page
from ui.fhir import Resource
from ui.portal import access_log, whose
from ui.portal.place import bp
from ui.portal.shown import shown

_PAGE, _EVENTS, _PAGES = 500, 200, 3


@bp.get("/my-data")
def my_data(slug: str) -> ResponseReturnValue:
    """The ways to one's data."""
    return shown("my_data.html")


@bp.get("/my-data/record.json")
def download(slug: str) -> ResponseReturnValue:
    """The whole record as one Bundle of type collection, page after page of `$everything`."""
    path = f"{whose.patient()}/$everything"
    first = fhir.call(path, {"_count": _PAGE}, method="GET")

    def written() -> Iterator[bytes]:
        yield b'{"resourceType":"Bundle","type":"collection","entry":['
        bundle, begun = first, False
        while True:
            for entry in bundle.get("entry", ()):
                yield (b"," if begun else b"") + encode({"resource": entry["resource"]})
                begun = True
            following = _next(bundle)
            if not following:
                break
            bundle = fhir.call(path, following, method="GET")
        yield b"]}"

    name = f"{page.tenant().slug}-{page.today().isoformat()}.json"
    response = Response(stream_with_context(written()), content_type="application/fhir+json; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _next(bundle: Resource) -> list[tuple[str, str]]:
    """The parameters of the page after this one; [] for the last."""
    url = next((str(each["url"]) for each in bundle.get("link", ()) if each.get("relation") == "next"), "")
    return parse_qsl(url.partition("?")[2], keep_blank_values=True)


@bp.get("/my-data/access")
def access(slug: str) -> ResponseReturnValue:
    """Who has seen the record, by day, the latest first; not one's own looks. `after`: the place of the page before."""
    cursor, events = request.args.get("after", ""), []
    for _ in range(_PAGES):
        params = {"_count": _EVENTS, "_cursor": cursor or None}
        bundle = fhir.call(f"{whose.patient()}/$disclosures", params, method="GET")
        events += [entry["resource"] for entry in bundle.get("entry", ())]
        cursor = dict(_next(bundle)).get("_cursor", "")
        if not cursor or len(events) >= _EVENTS * _PAGES:
            break
    looks = access_log.looks(events)
    return shown("access.html", looks=looks, more=cursor)
