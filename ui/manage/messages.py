"""Messages: own texts with a preview, this month's budget, and what was not sent."""

import re
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.fhir import Refused
from ui.manage import message_texts
from ui.manage.message_texts import CHANNELS, KINDS, LANGUAGES
from ui.manage.place import bp
from ui.page import page, part, see_other, sentence, toast
from ui.texts import language, say

_PLACE = re.compile(r"[Ll]ine (\d+), column (\d+)")


@bp.get("/messages/")
def messages(slug: str) -> ResponseReturnValue:
    """The kinds of messages, with the texts that are the clinic's own; budget; what was not sent."""
    own = message_texts.own()
    budget, lost = fhir.gather([
        "Communication/$message-budget",
        ("Communication", {"status": "not-done,unknown", "_sort": "-_lastUpdated", "_count": 50,
                           "_include": "Communication:recipient"}),
    ])  # fmt: skip
    return page(
        "manage/messages.html", kinds=KINDS, channels=dict(CHANNELS), own=own, budget=_budget(budget),
        lost=None if isinstance(lost, Refused) else lost, done=request.args.get("done", ""),
    )  # fmt: skip


@bp.get("/messages/<kind>")
def message_kind(slug: str, kind: str) -> ResponseReturnValue:
    """The text of a kind for a language and a channel, with its preview."""
    _check(kind)
    tongue, channel = _chosen()
    found = message_texts.own_text(kind, tongue, channel)
    return _form(kind, tongue, channel, found)


@bp.post("/messages/<kind>")
def save_message(slug: str, kind: str) -> ResponseReturnValue:
    """Stores the clinic's own text, or with `reset` goes back to the default."""
    _check(kind)
    tongue, channel = _chosen()
    here = f"/t/{slug}/ui/manage/messages/{kind}?language={tongue}&channel={channel}"
    if "reset" in request.form:
        message_texts.forget(kind, tongue, channel)
        return see_other(f"{here}&done=reset")
    said = {name: request.form.get(name, "").replace("\r\n", "\n").strip() for name in ("subject", "body")}
    try:
        message_texts.keep(kind, tongue, channel, said["subject"], said["body"], request.form.get("version", ""))
    except Refused as error:
        if error.status not in (400, 409, 412, 422):
            raise
        return _form(kind, tongue, channel, {**said, "version": ""}, _problem(error))
    return see_other(f"{here}&done=saved")


@bp.post("/messages/<kind>/preview")
def preview_message(slug: str, kind: str) -> ResponseReturnValue:
    """How the text that is being typed would be sent."""
    _check(kind)
    tongue, channel = _chosen()
    shown = _preview(kind, tongue, channel, request.form.get("subject", ""), request.form.get("body", ""))
    return part("manage/_preview.html", **shown, channel=channel, tongue=tongue)


@bp.post("/messages/resend/<communication>")
def resend(slug: str, communication: str) -> ResponseReturnValue:
    """Has a message that was given up tried again."""
    try:
        fhir.call(f"Communication/{communication}/$resend")
    except Refused as error:
        if request.headers.get("HX-Request"):
            raise
        return page("problem.html", status=error.status, title=say("That was not possible"), text=sentence(error),
                    known=True)  # fmt: skip
    if request.headers.get("HX-Request"):
        return toast(part("manage/_resent.html"), say("The message is tried again."))
    return see_other(f"/t/{slug}/ui/manage/messages/?done=resent")


def _check(kind: str) -> None:
    if kind not in dict(KINDS):
        raise NotFound("There is no such page.")


def _chosen() -> tuple[str, str]:
    tongue, channel = request.values.get("language", ""), request.values.get("channel", "")
    return tongue if tongue in dict(LANGUAGES) else language(), channel if channel in dict(CHANNELS) else "sms"


def _form(
    kind: str, tongue: str, channel: str, own: dict[str, str] | None, problem: dict[str, str] | None = None
) -> Response:
    default = message_texts.default(kind, tongue, channel)
    said = own or {"subject": default["subject"], "body": default["body"], "version": ""}
    shown = _preview(kind, tongue, channel, said["subject"], said["body"])
    return page(
        "manage/message.html", status=422 if problem else 200, kind=kind, title=say(dict(KINDS)[kind]), tongue=tongue,
        channel=channel, languages_=LANGUAGES, channels=CHANNELS, said=said, default=default,
        own=own is not None and not problem, problem_at=problem or {}, done=request.args.get("done", ""), **shown,
    )  # fmt: skip


def _preview(kind: str, tongue: str, channel: str, subject: str, body: str) -> dict[str, Any]:
    """`shown`: the answer's values by name; `wrong`: what is wrong with the text."""
    if not body:
        return {"shown": {}, "wrong": {}}
    asked: dict[str, Any] = {
        "kind": fhir.code(kind), "channel": fhir.code(channel), "language": fhir.code(tongue), "body": body,
    }  # fmt: skip
    if subject and channel in message_texts.WITH_SUBJECT:
        asked["subject"] = subject
    try:
        answer = fhir.call("ActivityDefinition/$preview-message", asked)
    except Refused as error:
        if error.status not in (400, 422):
            raise
        return {"shown": {}, "wrong": _problem(error)}
    shown = {each["name"]: next(v for k, v in each.items() if k.startswith("value")) for each in answer["parameter"]}
    return {"shown": shown, "wrong": {}}


def _problem(error: Refused) -> dict[str, str]:
    """Which field is wrong (`subject` or `body`), where in it, and the server's own words."""
    place = _PLACE.search(error.text)
    if error.status == 412:
        told = sentence(error)
    elif place:
        told = say("Line %(line)s, column %(column)s cannot be understood.", line=place[1], column=place[2])
    else:
        told = say("This text cannot be used.")
    at = "subject" if "subject" in error.expression or "subject" in error.text.lower() else "body"
    return {"field": at, "text": told, "detail": "" if error.status == 412 else error.text}


def _budget(answer: Any) -> dict[str, Any] | None:
    if isinstance(answer, Refused):
        return None
    found: dict[str, Any] = {"channels": []}
    for each in answer["parameter"]:
        if each["name"] == "channel":
            found["channels"].append({p["name"]: next(v for k, v in p.items() if k != "name") for p in each["part"]})
        else:
            found[each["name"]] = next(v for k, v in each.items() if k.startswith("value"))
    limit, used = found.get("budget"), found["used"]["value"]
    found["share"] = min(100, round(used / limit["value"] * 100)) if limit and limit["value"] else None
    return found
