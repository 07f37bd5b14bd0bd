"""Templates: what they can say, what they refuse and where, and that values never become template."""

import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import Unprocessable
from fhir_server.features.notifications.template_language import Style, Template, compile_template, plain

NAMES = (("clinic", "text"), ("ahead", "text"), ("start", "instant"))
START = datetime(2026, 8, 3, 9, 5, tzinfo=ZoneInfo("Africa/Casablanca"))
FR = Style("fr", "MA")


def compiled(source: str) -> Template:
    return compile_template(source, NAMES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Rien", "Rien"),
        ("{{ clinic }}", "Al Amal, Rabat"),
        ("{{clinic|upper}} {{ clinic | first }}", "AL AMAL, RABAT Al"),
        ("{{ start|date|upper }}", "LUN. 3 AOÛT"),
        ("{{ start|date }} à {{ start|time }}", "lun. 3 août à 09:05"),
        ("{{ start }}", "lun. 3 août 09:05"),
        ("a{% if ahead %}b{% else %}c{% endif %}d", "acd"),
        ("a{%if clinic%}b{%else%}c{%endif%}d", "abd"),
        ("{% if clinic %}{% if ahead %}1{% else %}2{% endif %}{% else %}3{% endif %}", "2"),
        ("{% if ahead %}{% if clinic %}1{% else %}2{% endif %}{% else %}3{% endif %}", "3"),
        ("{ clinic } % { }", "{ clinic } % { }"),
        ("a\n{% if ahead %}x{% endif %}\n\n\nb", "a\n\nb"),
    ],
)
def test_rendering(source: str, text: str) -> None:
    assert compiled(source).render({"clinic": "Al Amal, Rabat", "start": START}, FR, 500) == text


@pytest.mark.parametrize(
    ("source", "place", "word"),
    [
        ("ab {{ clinik }}", "Line 1, column 4", "clinic"),
        ("ab\ncd {{ clinic|dat }}", "Line 2, column 4", "date"),
        ("{{ clinic|date }}", "Line 1, column 1", "does not fit"),
        ("{{ start|upper }}", "Line 1, column 1", "does not fit"),
        ("{{ start|date|time }}", "Line 1, column 1", "does not fit"),
        ("\n\n{{ clinic", "Line 3, column 1", "not closed"),
        ("clinic }}", "Line 1, column 8", "closes nothing"),
        ("{% if clinic", "Line 1, column 1", "not closed"),
        ("{% if clinic %}x", "Line 1, column 1", "no {% endif %}"),
        ("x{% endif %}", "Line 1, column 2", "no {% if … %} before"),
        ("{% else %}", "Line 1, column 1", "no {% if … %} before"),
        ("{% if clinic %}{% else %}{% else %}{% endif %}", "Line 1, column 26", "already"),
        ("{% for x in y %}", "Line 1, column 1", "Between"),
        ("{% if not clinic %}", "Line 1, column 1", "Between"),
        ("{{ }}", "Line 1, column 1", "expected"),
        ("{{ clinic.__class__ }}", "Line 1, column 1", "expected"),
        ("{{ clinic() }}", "Line 1, column 1", "expected"),
        ("{{ clinic['x'] }}", "Line 1, column 1", "expected"),
        ("{{ {{ clinic }} }}", "Line 1, column 1", "expected"),
        ("{% if clinic %}" * 5 + "{% endif %}" * 5, "column 61", "deep"),
    ],
)
def test_refusals_name_line_and_column(source: str, place: str, word: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        compiled(source)
    text = refused.value.issues[0].text
    assert place in text and word in text


def test_a_value_is_never_template_and_has_no_control_characters() -> None:
    values = {"clinic": "a{{ start }}{% if x %}\r\nBcc: x\x00\u202eb\u2067c\ud800"}
    assert compiled("{{ clinic }}").render(values, FR, 500) == "a{{ start }}{% if x %} Bcc: xbc"


def test_lengths_are_limited() -> None:
    with pytest.raises(Unprocessable, match="4000"):
        compiled("x" * 4001)
    with pytest.raises(Unprocessable, match="longer than 10"):
        compiled("123456789 {{ clinic }}").render({"clinic": "ab"}, FR, 10)
    assert len(plain("x" * 1000)) == 200


def test_zero_and_nothing_are_false() -> None:
    template = compiled("{% if ahead %}{{ ahead }}{% else %}none{% endif %}")
    assert template.render({"ahead": 0}, FR, 50) == "none"
    assert template.render({"ahead": "  "}, FR, 50) == "none"
    assert template.render({"ahead": 2}, FR, 50) == "2"


@pytest.mark.parametrize(
    ("language", "country", "text"),
    [
        ("fr", "", "lun. 3 août 09:05"),
        ("en", "", "Mon 3 Aug 09:05"),
        ("en", "US", "Mon 3 Aug 9:05 AM"),
        ("en", "MA", "Mon 3 Aug 09:05"),
        ("es", "FR", "lun 3 ago 9:05"),
        ("ar", "MA", "الاثنين 3 غشت 09:05"),
        ("ar", "", "الاثنين 3 غشت 09:05"),
        ("xx", "", "lun. 3 août 09:05"),
    ],
)
def test_dates_by_language_and_country(language: str, country: str, text: str) -> None:
    # What another part of the process has formatted before must not matter.
    format_date(date(2026, 8, 3), "EEE d MMM y", locale="ar")
    assert compiled("{{ start|date }} {{ start|time }}").render({"start": START}, Style(language, country), 99) == text


def test_isolates_stand_around_values_only() -> None:
    style = Style("ar", "MA", isolated=True)
    assert compiled("رقم {{ clinic }}.").render({"clinic": "A-042"}, style, 99) == "رقم \u2068A-042\u2069."
    assert compiled("رقم {{ clinic }}.").render({}, style, 99) == "رقم ."


def test_names_that_a_template_uses() -> None:
    assert compiled("{% if ahead %}{{ clinic }}{% endif %}").names == {"ahead", "clinic"}


@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", " if ", "else", "endif", "clinic", "start", "|", "date", "upper", "\n", "{", "%", "é"]), max_size=30),
    st.text(max_size=300),
)
def test_whatever_is_written_is_refused_or_rendered(pieces: list[str], value: str) -> None:
    source = "".join(pieces)
    refusal, template = "", None
    try:
        template = compiled(source)
    except Unprocessable as refused:
        refusal = refused.issues[0].text
    if template is None:
        assert refusal.startswith("Line ")
        return
    text = template.render({"clinic": value, "start": START}, Style("ar", isolated=True), 10_000)
    assert "\u202e" not in text and "\x00" not in text


def test_what_is_never_closed_is_refused_at_once() -> None:
    started = time.thread_time()
    for source in ("{{" * 2000, "{%" * 2000, "{% if clinic %}" * 266):
        with pytest.raises(Unprocessable):
            compiled(source)
    assert time.thread_time() - started < 2
