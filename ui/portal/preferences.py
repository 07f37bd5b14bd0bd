"""Which messages the patient wants, through which channel; and messages to this browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from ui import fhir, page
from ui.portal import own_tickets, whose
from ui.portal.place import bp
from ui.portal.shown import shown
from ui.texts import say

CHANNELS = ("in-app", "push", "sms", "whatsapp", "email")
_GROUPS = {
    "visits": ("confirmation", "reminder", "cancellation", "rescheduled"),
    "offers": ("waitlist-offer",),
    "tickets": ("ticket-taken", "ticket-soon", "ticket-called", "ticket-no-show", "ticket-delayed"),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said, by (kind, channel) with "" for all; the channels that would be used now, by kind; those whose
    address said STOP."""

    said: Mapping[tuple[str, str], bool]
    now: Mapping[str, tuple[str, ...]]
    stopped: tuple[str, ...]

    def wants(self, kind: str, channel: str) -> bool:
        """What holds for a kind and a channel: the more exact word first, else what the clinic does."""
        for key in ((kind, channel), (kind, ""), ("", channel), ("", "")):
            if key in self.said:
                return self.said[key]
        return channel in self.now.get(kind, ())


def _wishes() -> Wishes:
    answer = fhir.call(f"{whose.patient()}/$message-preferences", method="GET")
    said: dict[tuple[str, str], bool] = {}
    now: dict[str, tuple[str, ...]] = {}
    stopped: list[str] = []
    for each in answer.get("parameter", ()):
        if each["name"] == "preference":
            values = own_tickets.values_of(each)
            said[str(values.get("kind", "")), str(values.get("channel", ""))] = bool(values.get("wanted"))
        elif each["name"] == "now":
            kind = str(own_tickets.values_of(each).get("kind", ""))
            now[kind] = tuple(part["valueCode"] for part in each["part"] if part["name"] == "channel")
        elif each["name"] == "stopped":
            stopped.append(str(each.get("valueCode", "")))
    return Wishes(said, now, tuple(stopped))


@bp.get("/preferences")
def preferences(slug: str) -> ResponseReturnValue:
    """What comes through which channel."""
    wishes = _wishes()
    usable = {channel for channels in wishes.now.values() for channel in channels} | {c for _, c in wishes.said if c}
    channels = [each for each in CHANNELS if each in usable or each in ("push", "in-app")]
    rows = [(group, _group_title(group), [(each, channel_name(each), _all_want(wishes, group, each))
                                          for each in channels if (each, group) != ("in-app", "")])
            for group in _GROUPS]  # fmt: skip
    return shown("preferences.html", rows=rows, stopped=[channel_name(each) for each in wishes.stopped])


def _all_want(wishes: Wishes, group: str, channel: str) -> bool:
    return any(wishes.wants(kind, channel) for kind in _GROUPS[group])


@bp.post("/preferences")
def save(slug: str) -> ResponseReturnValue:
    """Keep what is ticked (`group.channel`); only what differs is said. `shown`: the boxes that the page had."""
    wishes = _wishes()
    for name in request.form.getlist("shown"):
        group, _, channel = name.partition(".")
        if group not in _GROUPS or channel not in CHANNELS:
            continue
        wanted = name in request.form
        if wanted != _all_want(wishes, group, channel):
            kinds = [{"name": "kind", "valueCode": kind} for kind in _GROUPS[group]]
            given = [*kinds, {"name": "channel", "valueCode": channel}, {"name": "wanted", "valueBoolean": wanted}]
            fhir.call(f"{whose.patient()}/$set-message-preferences", given)
    return page.see_other(f"/t/{slug}/ui/portal/preferences?done=kept")


def _group_title(group: str) -> str:
    return {"visits": say("Appointments: confirmation, reminders, changes"), "offers": say("Offers of the wait list"),
            "tickets": say("My turn in the queue")}[group]  # fmt: skip


def channel_name(channel: str) -> str:
    """A channel in words."""
    return {"in-app": say("Here, in the application"), "push": say("Notification on this device"), "sms": "SMS",
            "whatsapp": "WhatsApp", "email": say("E-mail")}.get(channel, channel)  # fmt: skip


# -- this browser ------------------------------------------------------------------------------------------------------


@bp.get("/push-key")
def push_key(slug: str) -> ResponseReturnValue:
    """What a browser subscribes with (JSON `key`)."""
    answer = fhir.call(f"{whose.patient()}/$push-key", method="GET")
    return jsonify(key=str(own_tickets.values_of(answer).get("return", "")))


@bp.post("/push")
def subscribe(slug: str) -> ResponseReturnValue:
    """Let this browser get the messages (`endpoint`, `p256dh`, `auth`), or with `off` no longer; JSON `on`."""
    endpoint = request.form.get("endpoint", "")
    if request.form.get("off"):
        fhir.call(f"{whose.patient()}/$push-unsubscribe", [{"name": "endpoint", "valueUrl": endpoint}])
        return jsonify(on=False)
    given: list[dict[str, Any]] = [{"name": "endpoint", "valueUrl": endpoint}]
    given += [{"name": name, "valueString": request.form.get(name, "")} for name in ("p256dh", "auth")]
    fhir.call(f"{whose.patient()}/$push-subscribe", given)
    return jsonify(on=True)
