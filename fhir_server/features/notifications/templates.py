"""The texts of messages: the defaults of profiles/notifications/templates.json, and what a tenant wrote instead.

A tenant's text stands in an active ActivityDefinition of kind CommunicationRequest whose code is a message kind, in the
extension `urn:salam:StructureDefinition:message-text` (language, channel, subject, body).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.context import Context
from fhir_server.core.errors import Issue, Unprocessable
from fhir_server.features.notifications import text_parts
from fhir_server.features.notifications.kinds import FEATURE, KIND_SYSTEM, Kind, channels, kinds
from fhir_server.features.notifications.template_language import Style, Value, compile_template
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server

MESSAGE_TEXT = "urn:salam:StructureDefinition:message-text"
SEND_BEFORE = "urn:salam:StructureDefinition:send-before"


@dataclass(frozen=True, slots=True)
class Text:
    """A template for one kind, channel and language. own: the tenant's; before: for the reminder that is sent so long
    before only."""

    kind: str
    channel: str
    language: str
    subject: str
    body: str
    own: bool = False
    before: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """What a tenant wrote. reminders: how long before reminders are sent, or () where it did not say."""

    texts: tuple[Text, ...] = ()
    reminders: tuple[timedelta, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A message's text as it is sent."""

    subject: str
    body: str


def own(ctx: Context) -> Own:
    """The tenant's templates that are active."""
    system = as_server(ctx)
    pairs = [("status", "active"), ("message-kind", f"{KIND_SYSTEM}|")]
    found = [definition for definition in stored.find(system, "ActivityDefinition", pairs) if kind_of(definition)]
    texts = [text for definition in found for text in texts_of(definition)]
    before = {span for span in map(send_before, found) if span is not None}
    return Own(tuple(texts), tuple(sorted(before, reverse=True)))


def chosen(
    mine: Own, kind: str, channel: str, languages: Sequence[str], before: timedelta | None = None
) -> Text | None:
    """The text for the first of these languages in which there is one: the tenant's for this very reminder, the
    tenant's, the default."""
    for language in languages:
        fitting = [t for t in mine.texts if (t.kind, t.channel, t.language) == (kind, channel, language)]
        for span in dict.fromkeys((before, None)):
            for text in fitting:
                if text.before == span:
                    return text
        default = default_text(kind, channel, language)
        if default is not None:
            return default
    return None


@cache
def default_text(kind: str, channel: str, language: str) -> Text | None:
    """The text that this server brings along."""
    table = _table()
    row = table["kinds"].get(kind, {}).get(language, {})
    found = row.get(channel) or row.get(table["same_as"].get(channel, ""))
    if not found:
        return None
    subject, body = ("", found) if isinstance(found, str) else found
    return Text(kind, channel, language, subject if channels()[channel].subject else "", body)


def write(text: Text, values: Mapping[str, Value], country: str = "") -> Written:
    """The text as it is sent: an SMS is written in GSM-7 where that takes fewer parts. Raises what `render` does."""
    rendered = render(text, values, country)
    return replace(rendered, body=text_parts.shortest(rendered.body)) if text.channel == "sms" else rendered


def render(text: Text, values: Mapping[str, Value], country: str = "") -> Written:
    """The text with values in place of names.

    Raises `Unprocessable` when it is longer than the channel takes, or no template.
    """
    kind, channel = kinds()[text.kind], channels()[text.channel]
    # Isolates keep `A-042` together inside Arabic; old phones show them as boxes and they cost room, so not in SMS.
    isolated = channel.isolated and text.language.split("-")[0] in _RIGHT_TO_LEFT
    style = Style(text.language.split("-")[0], country, channel.long_dates, isolated)
    subject = compile_template(text.subject, kind.names).render(values, style, channel.subject) if text.subject else ""
    body = compile_template(text.body, kind.names).render(values, style, channel.text)
    return Written(subject.replace("\n", " "), body)


_RIGHT_TO_LEFT = frozenset({"ar", "arb", "ary", "arq", "aeb", "fa", "ur", "he"})


def kind_of(definition: Mapping[str, Any]) -> Kind | None:
    """The message kind that an ActivityDefinition is a template of; None when it is something else."""
    if definition.get("kind") != "CommunicationRequest":
        return None
    codings = definition.get("code", {}).get("coding", ())
    codes = [coding.get("code") for coding in codings if coding.get("system") == KIND_SYSTEM]
    return kinds().get(codes[0]) if codes else None


def send_before(definition: Mapping[str, Any]) -> timedelta | None:
    """How long before the appointment its reminder is sent, where it says so in a unit of time of fixed length."""
    for extension in definition.get("extension", ()):
        if extension.get("url") == SEND_BEFORE:
            return _span(extension.get("valueDuration", {}))
    return None


def parts_of(extension: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a `message-text` extension by name: those whose value is text."""
    found: dict[str, str] = {}
    for part in extension.get("extension", ()):
        value = next((part[name] for name in part if name.startswith("value")), None)
        if isinstance(value, str):
            found[part["url"]] = value
    return found


def guard(ctx: Context, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Issue]:
    """What is wrong with an ActivityDefinition that is about to be stored."""
    return [] if after is None else check_template(after)


def check_template(resource: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with an ActivityDefinition as template; [] also for one that is no template."""
    codings = resource.get("code", {}).get("coding", ())
    codes = [coding.get("code") for coding in codings if coding.get("system") == KIND_SYSTEM]
    if not codes:
        return []
    if resource.get("kind") != "CommunicationRequest":
        return [_issue("A message template has the kind CommunicationRequest.", "ActivityDefinition.kind")]
    if len(codes) > 1 or codes[0] not in kinds():
        return [_issue(f"A template has one message kind: {', '.join(kinds())}.", "ActivityDefinition.code")]
    return list(_faults(resource, kinds()[codes[0]]))


def _faults(resource: Mapping[str, Any], kind: Kind) -> Iterator[Issue]:
    seen: set[tuple[str, str]] = set()
    for index, extension in enumerate(resource.get("extension", ())):
        at = f"ActivityDefinition.extension[{index}]"
        if extension.get("url") == MESSAGE_TEXT:
            yield from check_text(kind, extension, at, seen)
        elif extension.get("url") == SEND_BEFORE:
            if kind.code != "reminder":
                yield _issue("send-before belongs to reminders only.", at)
            elif _span(extension.get("valueDuration", {})) is None:
                yield _issue("send-before is 1 minute to 90 days, in UCUM min, h, d or wk.", f"{at}.valueDuration")
    if not seen and kind.code != "reminder" and resource.get("status") == "active":
        yield _issue(f"An active template has at least one {MESSAGE_TEXT}.", "ActivityDefinition.extension")


def check_text(kind: Kind, extension: Mapping[str, Any], at: str, seen: set[tuple[str, str]]) -> Iterator[Issue]:
    """What is wrong with one `message-text`. `seen`: (language, channel) that stood before; this one is added."""
    parts = parts_of(extension)
    where = {part.get("url"): f"{at}.extension[{i}]" for i, part in enumerate(extension.get("extension", ()))}
    for name in where.keys() - {"language", "channel", "subject", "body"}:
        yield _issue("A message-text has language, channel, subject and body.", where[name])
    for name in ("language", "channel", "body"):
        if not parts.get(name):
            yield _issue(f"A message-text needs its {name}.", at)
    language, channel, subject = parts.get("language", ""), parts.get("channel", ""), parts.get("subject", "")
    if channel and channel not in channels():
        yield _issue(f"There is no channel {channel!r}. There are: {', '.join(channels())}.", where["channel"])
        return
    if subject and channel and not channels()[channel].subject:
        yield _issue(f"{channel} has no subject.", where["subject"])
    if channel and channels()[channel].subject and not subject:
        yield _issue(f"{channel} needs a subject.", at)
    if (language, channel) in seen:
        yield _issue("There is a text for this language and channel already.", at)
    seen.add((language, channel))
    for name in ("subject", "body"):
        if channel and parts.get(name):
            yield from _unreadable(kind, channel, name, parts[name], where[name])


def _unreadable(kind: Kind, channel: str, name: str, source: str, at: str) -> Iterator[Issue]:
    most = channels()[channel].subject if name == "subject" else channels()[channel].text
    try:
        template = compile_template(source, kind.names, at)
        if most:
            template.render({}, Style("fr"), most)
    except Unprocessable as error:
        yield Issue("error", error.issues[0].code, error.issues[0].text, at)


def texts_of(definition: Mapping[str, Any]) -> Iterator[Text]:
    """The texts of a template; none when something is wrong with it."""
    kind, before = kind_of(definition), send_before(definition)
    if kind is None or any(check_template(definition)):
        # Stored before its kind was checked, or by another version of this server: the default is sent instead.
        return
    for extension in definition.get("extension", ()):
        if extension.get("url") == MESSAGE_TEXT:
            parts = parts_of(extension)
            subject = parts.get("subject", "")
            yield Text(kind.code, parts["channel"], parts["language"], subject, parts["body"], True, before)


_UNITS = {"min": "minutes", "h": "hours", "d": "days", "wk": "weeks"}


def _span(duration: Mapping[str, Any]) -> timedelta | None:
    unit = _UNITS.get(duration.get("code", ""))
    value = duration.get("value")
    if unit is None or value is None or duration.get("comparator") or not 0 < float(value) <= 129_600:
        return None
    found = timedelta(**{unit: float(value)})
    return found if timedelta(minutes=1) <= found <= timedelta(days=90) else None


def _issue(text: str, expression: str) -> Issue:
    return Issue("error", "business-rule", text, expression)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = dict(own_table("templates"))[FEATURE]
    return table
