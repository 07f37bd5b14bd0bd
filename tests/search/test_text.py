"""Normalising text and cutting it into words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.text import LONGEST, narrative_text, normalize, words


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Núñez", "nunez"), ("  Van   der\tBerg ", "van der berg"), ("STRASSE", "strasse"), ("Straße", "strasse"),
        ("ﬁne", "fine"), ("Ǆ", "dz"), ("مُحَمَّد", "محمد"), ("محـــمد", "محمد"), ("İstanbul", "istanbul"), ("", ""),
        ("a\x00b", "a b"), ("Ⅻ", "xii"), ("한글", "한글"), ("x" * 300, "x" * LONGEST),
    ],
)  # fmt: skip
def test_normal_form(text: str, normal: str) -> None:
    assert normalize(text) == normalize(normal)
    if text.isascii() or text in ("Núñez", "Straße", "مُحَمَّد", "محـــمد"):
        assert normalize(text) == normal


@given(st.text(max_size=260))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert len(once) <= LONGEST
    assert once.encode() is not None and "\x00" not in once


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_words_of_a_text_are_those_of_its_parts(one: str, other: str) -> None:
    assert words(f"{one} {other}") == words(one) | words(other)


def test_words_and_narrative() -> None:
    assert words("Crème-brûlée, 2 × 5.4 mg/dL!") == {"creme", "brulee", "2", "5", "4", "mg", "dl"} | words("×")
    assert words(narrative_text("<div xmlns='http://x'>A&amp;B<br/>caf&#233;<p title='no'>D</p></div>")) == {
        "a", "b", "cafe", "d",
    }  # fmt: skip
