"""Messages inside the application."""

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.fhir import Refused
from ui.portal import home, whose
from ui.portal.place import bp
from ui.portal.shown import shown

_COUNT = 40


@bp.get("/messages")
def messages(slug: str) -> ResponseReturnValue:
    """The messages, the newest first; those that were not read stand out."""
    found = fhir.search("Communication", home.messages_query(_sort="-sent", _count=str(_COUNT)))
    listed = [{
        "id": each["id"], "title": each.get("topic", {}).get("text", ""), "at": each.get("sent"),
        "text": "\n".join(str(part.get("contentString", "")) for part in each.get("payload", ())),
        "unread": "received" not in each, "visit": _visit(each),
    } for each in found.resources]  # fmt: skip
    return shown("messages.html", messages=listed)


def _visit(message: fhir.Resource) -> str:
    named = [str(each.get("reference", "")) for each in message.get("about", ())]
    return next((name.partition("/")[2] for name in named if name.startswith("Appointment/")), "")


@bp.post("/messages/read")
def read(slug: str) -> ResponseReturnValue:
    """Note that messages were read: the one named by `id`, else all that were not."""
    chosen = request.form.get("id", "")
    params = home.messages_query(**{"received:missing": "true", "_count": str(_COUNT), "_elements": "id"})
    for each in fhir.search("Communication", {**params, "_id": chosen or None}).resources:
        try:
            fhir.call(f"Communication/{each['id']}/$mark-read")
        except Refused as error:
            # What is for the patient's own eyes cannot be marked by who acts for him.
            if error.status != 403:
                raise
    return page.see_other(f"/t/{slug}/ui/portal/messages")


@bp.get("/more")
def more(slug: str) -> ResponseReturnValue:
    """All that is not needed every day."""
    return shown("more.html", people=whose.people(), may_consent=not whose.is_proxy())
