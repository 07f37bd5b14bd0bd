"""Numbers of hierarchies: whatever the hierarchy, ranges say what walking along its links says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import Unprocessable
from fhir_server.core.spans import Spans
from fhir_server.terminology.importers.numbering import numbering


@st.composite
def hierarchies(draw: st.DrawFn) -> list[list[int]]:
    """By place, the places of the parents; any place may come before its parents."""
    size = draw(st.integers(1, 40))
    order = draw(st.permutations(range(size)))
    parents: list[list[int]] = [[] for _ in range(size)]
    for rank in range(1, size):
        above = draw(st.sets(st.integers(0, rank - 1), max_size=3))
        parents[order[rank]] = [order[each] for each in sorted(above)]
    return parents


def closure(parents: list[list[int]]) -> list[set[int]]:
    """By place, all that is below, found by walking up from every place."""
    below: list[set[int]] = [set() for _ in parents]
    for place in range(len(parents)):
        waiting, seen = list(parents[place]), set()
        while waiting:
            above = waiting.pop()
            if above not in seen:
                seen.add(above)
                below[above].add(place)
                waiting += parents[above]
    return below


def codes(parents: list[list[int]]) -> list[str]:
    return [f"c{place}" for place in range(len(parents))]


@given(hierarchies())
def test_ranges_are_the_transitive_closure(parents: list[list[int]]) -> None:
    made = numbering(parents, codes(parents))
    for place, below in enumerate(closure(parents)):
        assert set(Spans(made.below(place))) == {made.number[each] for each in below}


@given(hierarchies())
def test_numbers_are_a_permutation_and_a_child_comes_after_a_parent(parents: list[list[int]]) -> None:
    made = numbering(parents, codes(parents))
    assert sorted(made.number) == list(range(1, len(parents) + 1))
    assert [made.number[place] for place in made.order] == list(range(1, len(parents) + 1))
    for place, above in enumerate(parents):
        assert not above or min(made.number[each] for each in above) < made.number[place]


@given(hierarchies())
def test_ranges_outside_of_the_run_are_merged(parents: list[list[int]]) -> None:
    made = numbering(parents, codes(parents))
    for extras in made.extras.values():
        ranges = [divmod(each, 2**32) for each in extras]
        assert ranges == list(Spans(ranges).ranges)


def test_a_tree_in_the_order_of_its_walk_keeps_its_order() -> None:
    made = numbering([[], [0], [1], [0], []], ["a", "b", "c", "d", "e"])
    assert list(made.number) == [1, 2, 3, 4, 5]
    assert made.below(0) == [(2, 5)]
    assert not made.extras


@given(hierarchies(), st.data())
def test_a_circle_is_refused_with_its_codes(parents: list[list[int]], data: st.DataObject) -> None:
    below = closure(parents)
    places = [place for place, found in enumerate(below) if found]
    if not places:
        return
    top = data.draw(st.sampled_from(places))
    bottom = data.draw(st.sampled_from(sorted(below[top])))
    parents[top].append(bottom)
    with pytest.raises(Unprocessable, match="goes round in a circle: c") as caught:
        numbering(parents, codes(parents))
    shown = str(caught.value).partition(": ")[2].rstrip(".").split(" > ")
    assert shown[0] == shown[-1] or "…" in shown
