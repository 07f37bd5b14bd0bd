"""The arithmetic of colours, against the numbers of WCAG and for every colour that a clinic could choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.colours import SHAPE, TEXT, contrast, ink_on, mixed, parse, readable

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
# Surface, ground and what a light and a dark page are made of.
grounds = st.sampled_from(["#ffffff", "#f4f6f7", "#172227", "#0e161a", "#000000"])


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#ffffff", "#000000", 21.0), ("#777777", "#ffffff", 4.48), ("#767676", "#fff", 4.54), ("#0000ff", "#fff", 8.59)],
)
def test_known_ratios(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01) == contrast(other, one)


@pytest.mark.parametrize(
    "text", ["", "red", "#12", "#12345", "#ggg", "#1234567", "rgb(0,0,0)", "#fff;}body{}", "#fff\n"]
)
def test_what_is_no_colour(text: str) -> None:
    assert parse(text) is None
    with pytest.raises(ValueError, match="no colour"):
        contrast(text, "#fff")


@given(colours, grounds, st.sampled_from([SHAPE, TEXT, 7.0]))
def test_a_readable_colour_is_readable(colour: str, ground: str, least: float) -> None:
    assert contrast(readable(colour, ground, least), ground) >= least


@given(colours, grounds)
def test_what_is_readable_stays_as_it_is(colour: str, ground: str) -> None:
    once = readable(colour, ground)
    assert readable(once, ground) == once
    if contrast(colour, ground) >= TEXT:
        assert once == colour


@given(colours, grounds)
def test_it_is_changed_no_more_than_needed(colour: str, ground: str) -> None:
    made = readable(colour, ground)
    if made != colour:
        assert contrast(made, ground) < TEXT * 1.06


@given(colours)
def test_there_is_an_ink_for_every_colour(colour: str) -> None:
    assert contrast(ink_on(colour), colour) >= 4.1
    assert contrast(ink_on(readable(colour, "#ffffff")), readable(colour, "#ffffff")) >= TEXT


@given(colours, colours)
def test_mixing_ends_at_its_ends(one: str, other: str) -> None:
    assert (mixed(one, other, 1), mixed(one, other, 0)) == (one, other)
