"""Ids of proposals say all that is needed, and cannot be mistyped into others."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import NotFound
from fhir_server.features.scheduling.proposals import Proposal, decode, encode

rid = st.integers(1, (1 << 63) - 1)
proposals = st.builds(
    Proposal, st.integers(0, (1 << 63) - 1), st.lists(rid, min_size=1, max_size=3).map(tuple),
    st.integers(0, (1 << 32) - 1), st.integers(1, 1440),
)  # fmt: skip


@given(proposals)
def test_an_id_says_what_it_was_made_of(proposal: Proposal) -> None:
    text = encode(proposal)
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", text)
    assert decode(text) == proposal


@pytest.mark.parametrize("text", ["proposal-", "proposal-0", "proposal--", "proposal-é", "proposal-" + "z" * 55,
                                  "proposal-" + "z" * 500, "12", "", "proposal-abcdefgh"])  # fmt: skip
def test_what_was_never_proposed_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        decode(text)


@given(proposals, st.data())
def test_most_typing_errors_are_found(proposal: Proposal, data: st.DataObject) -> None:
    text = encode(proposal)
    place = data.draw(st.integers(len("proposal-"), len(text) - 1))
    other = data.draw(st.sampled_from([digit for digit in "aB3" if digit != text[place]]))
    with suppress(NotFound):
        assert decode(text[:place] + other + text[place + 1 :]) != proposal
