"""The texts of messages: complete, short enough, and what a tenant's own ones may be."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core.context import Tenant
from fhir_server.features.notifications.draft import CHANNELS
from fhir_server.features.notifications.kinds import channels, kinds, rules
from fhir_server.features.notifications.options import check, duration, options
from fhir_server.features.notifications.template_language import Value
from fhir_server.features.notifications.templates import Own, Text, check_template, chosen, default_text, write
from fhir_server.features.notifications.text_parts import measure

LANGUAGES = ("fr", "en", "es", "ar")
ZONE = ZoneInfo("Africa/Casablanca")
E = "urn:salam:StructureDefinition:"


def typical(kind: str, language: str) -> dict[str, Value]:
    sample = {**rules()["sample"]["all"], **rules()["sample"][language], "stop": "1", "link": "https://rdv.example.ma/r", "others": "11"}
    values: dict[str, Value] = {}
    for name, form in kinds()[kind].names:
        if name in sample:
            # Wednesday 12 August: the longest weekday and month in French, with letters that GSM-7 does not have.
            instant = form == "instant"
            values[name] = datetime.fromisoformat(sample[name]).replace(tzinfo=ZONE) if instant else sample[name]
    return values


@pytest.mark.parametrize(("kind", "channel", "language"), list(product(kinds(), channels(), LANGUAGES)))
def test_every_default_says_something_in_every_language(kind: str, channel: str, language: str) -> None:
    text = default_text(kind, channel, language)
    assert text is not None
    written = write(text, typical(kind, language), "MA")
    assert written.body and "{" not in written.body + written.subject
    assert bool(written.subject) == bool(channels()[channel].subject)
    assert "\n" not in written.subject
    if channel == "sms":
        assert measure(written.body).parts <= (2 if language == "ar" else 1), written.body
        assert "\u2068" not in written.body
    # Nothing at all is known: still a sentence, in one piece.
    bare = write(text, {}, "MA").body
    assert bare and "  " not in bare


def test_a_text_names_neither_patient_nor_professional_nor_place_where_others_may_read_it() -> None:
    for kind, channel, language in product(kinds(), ("sms", "whatsapp", "push"), LANGUAGES):
        text = default_text(kind, channel, language)
        assert text is not None
        assert not {"patient", "practitioner", "place"} & {name for name in dict(kinds()[kind].names) if f"{{{{ {name}" in text.body + text.subject}


def test_channels_are_those_of_the_drafts() -> None:
    assert set(CHANNELS) == set(channels())
    assert all(set(kind.order) <= set(CHANNELS) for kind in kinds().values())


def test_the_first_language_with_a_text_is_taken_and_the_tenants_text_before_the_default() -> None:
    mine = Own((Text("reminder", "sms", "wo", "", "Wolof", True), Text("reminder", "sms", "fr", "", "À nous", True),
                Text("reminder", "sms", "fr", "", "Dans deux heures", True, timedelta(hours=2))))  # fmt: skip
    body = lambda languages, before=None: getattr(chosen(mine, "reminder", "sms", languages, before), "body", None)  # noqa: E731
    assert body(("wo", "fr")) == "Wolof"
    assert body(("xx", "fr")) == "À nous"
    assert body(("fr",), timedelta(hours=2)) == "Dans deux heures"
    assert body(("fr",), timedelta(days=2)) == "À nous"
    assert "reminder of your appointment" in body(("en", "fr"))
    assert chosen(mine, "reminder", "sms", ("xx",)) is None


def test_an_arabic_message_keeps_the_direction_of_numbers() -> None:
    text = default_text("ticket-called", "push", "ar")
    assert text is not None
    assert "\u2068A-042\u2069" in write(text, typical("ticket-called", "ar")).body
    french = default_text("ticket-called", "push", "fr")
    assert french is not None
    assert "\u2068" not in write(french, typical("ticket-called", "fr")).body


def message_text(language: str = "fr", channel: str = "sms", body: str = "Le {{ start|date }}", subject: str = "") -> dict[str, Any]:
    parts = [{"url": "language", "valueCode": language}, {"url": "channel", "valueCode": channel}, {"url": "body", "valueString": body}]
    return {"url": "urn:salam:StructureDefinition:message-text", "extension": parts + ([{"url": "subject", "valueString": subject}] if subject else [])}


def template(*extensions: dict[str, Any], kind: str = "reminder", **more: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": kind}]}
    return {"resourceType": "ActivityDefinition", "status": "active", "kind": "CommunicationRequest", "code": code, "extension": list(extensions), **more}


def before(value: Any, code: str) -> dict[str, Any]:
    return {"url": "urn:salam:StructureDefinition:send-before", "valueDuration": {"value": value, "code": code, "system": "http://unitsofmeasure.org"}}


@pytest.mark.parametrize(
    ("resource", "expression", "word"),
    [
        (template(message_text(body="{{ begin }}")), "ActivityDefinition.extension[0].extension[2]", "Line 1, column 1"),
        (template(message_text(body="{{ ticket }}")), "ActivityDefinition.extension[0].extension[2]", "ticket"),
        (template(message_text(channel="fax")), "ActivityDefinition.extension[0].extension[1]", "fax"),
        (template(message_text(subject="x")), "ActivityDefinition.extension[0].extension[3]", "no subject"),
        (template(message_text(channel="email")), "ActivityDefinition.extension[0]", "needs a subject"),
        (template(message_text(), message_text()), "ActivityDefinition.extension[1]", "already"),
        (template(message_text(body="x" * 601)), "ActivityDefinition.extension[0].extension[2]", "600"),
        (template(kind="confirmation"), "ActivityDefinition.extension", "at least one"),
        (template(message_text(), before(2, "h"), kind="confirmation"), "ActivityDefinition.extension[1]", "reminders only"),
        (template(before(2, "mo")), "ActivityDefinition.extension[0].valueDuration", "90 days"),
        (template(before(-2, "h")), "ActivityDefinition.extension[0].valueDuration", "90 days"),
        (template(before(91, "d")), "ActivityDefinition.extension[0].valueDuration", "90 days"),
        (template(message_text(), kind="party"), "ActivityDefinition.code", "confirmation"),
        (template({"url": f"{E}message-text", "extension": [*message_text()["extension"][:2], {"url": "body", "valueInteger": 5}]}), "ActivityDefinition.extension[0]", "its body"),
        (template({"url": f"{E}message-text", "extension": [*message_text()["extension"], {"url": "colour", "valueString": "red"}]}), "ActivityDefinition.extension[0].extension[3]", "language, channel"),
        ({**template(message_text()), "kind": "Task"}, "ActivityDefinition.kind", "CommunicationRequest"),
    ],
)
def test_what_a_tenants_template_may_not_be(resource: dict[str, Any], expression: str, word: str) -> None:
    issues = check_template(resource)
    assert [(issue.expression, word in issue.text) for issue in issues] == [(expression, True)]


def test_what_it_may_be() -> None:
    assert check_template(template(message_text(), message_text("ar"), before(1, "d"))) == []
    assert check_template(template(before(30, "min"))) == []
    assert check_template({"resourceType": "ActivityDefinition", "status": "active", "kind": "Task"}) == []


@pytest.mark.parametrize(
    ("text", "span"),
    [("P2D", timedelta(days=2)), ("PT2H", timedelta(hours=2)), ("P1W", timedelta(weeks=1)), ("P1DT12H30M", timedelta(days=1, hours=12, minutes=30))],
)
def test_durations(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "P", "PT", "PT0M", "P91D", "P1M", "2D", "-PT2H", "PT2H "])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError):
        duration(text)


def test_a_tenants_choices() -> None:
    right = {
        "channels": ["sms", "in-app"], "order": ["sms"], "silent": ["reminder"], "quiet_from": "22:00", "quiet_until": "07:30",
        "reminders": ["P2D"], "phone_region": "MA", "phone": "+212 537 00 00 00", "portal_url": "https://rdv.example.ma/", "replies": True,
        "whatsapp_templates": {"ticket-called.fr": "HX1"}, "monthly_budget": "500.00", "currency": "MAD", "costs": {"sms": "0.05"},
    }  # fmt: skip
    assert check(right) == []
    wrong = {
        "channels": ["fax"], "order": ["in-app"], "silent": "reminder", "quiet_from": "9:00", "quiet_until": None, "reminders": ["2 days"],
        "phone_region": "XX", "phone": 5, "portal_url": "http://rdv.example.ma", "replies": "yes", "whatsapp_templates": {"party.fr": "HX1"},
        "monthly_budget": 500, "currency": "dirham", "costs": {"sms": "-1"}, "chanels": [],
    }  # fmt: skip
    issues = check(wrong)
    assert [issue.expression for issue in issues] == [f"notifications.{name}" for name in wrong]
    assert "There is no setting 'chanels'" in issues[-1].text
    assert [issue.expression for issue in check([])] == ["notifications"]


def test_choices_that_cannot_be_used_leave_the_usual_ones() -> None:
    tenant = Tenant(1, "t", "T", settings={"notifications": {"quiet_from": "25:00", "reminders": ["PT1H"], "channels": ["fax"]}})
    found = options(tenant)
    assert (found.quiet.start.hour, found.reminders, "sms" in found.channels) == (21, (timedelta(hours=1),), True)
    assert options(Tenant(1, "t", "T", settings={"notifications": 5})).order == tuple(rules()["order"])
