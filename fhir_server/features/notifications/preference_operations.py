"""$message-preferences and $set-message-preferences of profiles/notifications: which messages a person wants."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Unprocessable
from fhir_server.features.notifications import callers, preferences, recipients
from fhir_server.features.notifications.kinds import channels, kinds
from fhir_server.features.notifications.options import options
from fhir_server.interactions import stored
from fhir_server.operations.call import OperationCall

_EVERY = ("",)


def show(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What the person said, and what would be used now."""
    return _answer(ctx, *_person(ctx, call))


def change(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Keep what is said of every pair of kind and channel."""
    name, person = _person(ctx, call)
    kind, id_ = name.split("/")
    by_oneself = callers.check_speaks_for(ctx, kind, id_, "change what somebody else wants")
    chosen_kinds = _known("kind", call.parameters.get("kind", _EVERY), kinds())
    chosen_channels = _known("channel", call.parameters.get("channel", _EVERY), channels())
    wanted, source = call.parameters.get("wanted"), "patient" if by_oneself else "staff"
    preferences.say(ctx, name, chosen_kinds, chosen_channels, wanted=wanted, source=source)
    return _answer(ctx, name, person)


def _person(ctx: Context, call: OperationCall) -> tuple[str, dict[str, Any]]:
    assert call.type is not None and call.id is not None
    return f"{call.type}/{call.id}", stored.get(ctx, call.type, call.id)


def _known(name: str, codes: Any, known: Any) -> list[str]:
    for code in codes:
        if code and code not in known:
            raise Unprocessable(
                f"There is no {name} {code!r}. There are: {', '.join(known)}.", expression=f"http.{name}", code="value"
            )
    return list(dict.fromkeys(codes))


def _answer(ctx: Context, name: str, person: dict[str, Any]) -> dict[str, Any]:
    who = recipients.recipient(ctx, name, person)
    addressed = {channel: who.address(channel) for channel in channels()}
    stopped = [c for c, address in addressed.items() if address and preferences.normal(address) in who.wishes.stopped]
    said = [
        _part("preference", [
            *([{"name": "kind", "valueCode": each.kind}] if each.kind else []),
            *([{"name": "channel", "valueCode": each.channel}] if each.channel else []),
            {"name": "wanted", "valueBoolean": each.wanted},
            {"name": "source", "valueCode": each.source},
            {"name": "changed", "valueInstant": format_instant(each.changed)},
        ])
        for each in preferences.said(ctx, name)
    ]  # fmt: skip
    told = [{"name": "stopped", "valueCode": channel} for channel in stopped]
    return {"resourceType": "Parameters", "parameter": [*said, *told, *_now(ctx, who)]}


def _now(ctx: Context, who: recipients.Recipient) -> list[dict[str, Any]]:
    chosen = options(ctx.tenant)
    found = []
    for kind in kinds().values():
        if who.is_staff != (kind.code == "staff-change"):
            continue
        usable = [channel for channel, _ in recipients.ways(who, kind, chosen)]
        if "in-app" in chosen.channels and who.wishes.wants(kind.code, "in-app"):
            usable.append("in-app")
        title = next((kind.title[language] for language in who.languages if language in kind.title), kind.title["en"])
        named = [{"name": "kind", "valueCode": kind.code}, {"name": "title", "valueString": title}]
        found.append(_part("now", [*named, *({"name": "channel", "valueCode": channel} for channel in usable)]))
    return found


def _part(name: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "part": parts}
