"""Sets of numbers as ranges: the algebra of plain sets."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.spans import NONE, Spans

NUMBERS = st.sets(st.integers(0, 60))
RANGES = st.lists(st.tuples(st.integers(-20, 60), st.integers(-20, 60)), max_size=8)


@given(NUMBERS, NUMBERS)
def test_union_intersection_and_difference_are_those_of_sets(first: set[int], second: set[int]) -> None:
    a, b = Spans.of(first), Spans.of(second)
    assert set(a | b) == first | second
    assert set(a & b) == first & second
    assert set(a - b) == first - second
    assert (a == b) == (first == second)


@given(st.sets(st.integers(0, 400), min_size=60), RANGES)
def test_intersection_of_few_ranges_with_many(many: set[int], few: list[tuple[int, int]]) -> None:
    a, b = Spans.of(many), Spans((low * 7, high * 7) for low, high in few)
    assert set(a & b) == set(b & a) == set(a) & set(b)
    assert (a & b).ranges == Spans.of(set(a) & set(b)).ranges


@given(RANGES)
def test_ranges_are_sorted_disjoint_and_do_not_touch(ranges: list[tuple[int, int]]) -> None:
    spans = Spans(ranges)
    assert set(spans) == {n for low, high in ranges for n in range(low, high)}
    assert all(low < high for low, high in spans.ranges)
    assert all(first[1] < second[0] for first, second in zip(spans.ranges, spans.ranges[1:], strict=False))
    assert len(spans) == len(set(spans))


@given(NUMBERS, st.integers(0, 70), st.none() | st.integers(0, 70))
def test_a_page_is_a_slice_of_the_sorted_numbers(numbers: set[int], offset: int, count: int | None) -> None:
    end = None if count is None else offset + count
    assert Spans.of(numbers).page(offset, count) == sorted(numbers)[offset:end]


@given(NUMBERS, st.integers(-5, 65))
def test_membership(numbers: set[int], number: int) -> None:
    assert (number in Spans.of(numbers)) == (number in numbers)


def test_the_empty_set() -> None:
    assert not NONE
    assert list(NONE | Spans.of([3])) == [3]
    assert not NONE & Spans.of([3])


@given(NUMBERS, NUMBERS)
def test_places_in_an_array(numbers: set[int], held: set[int]) -> None:
    """Whichever of the two is longer."""
    array_ = array("i", sorted(held))
    found = [n for place in Spans.of(numbers).places(array_) for n in array_[place]]
    assert found == sorted(numbers & held)
    assert Spans.ascending(array("i", [end for each in Spans.of(held).ranges for end in each])) == Spans.of(held)
    assert Spans.of(numbers).pieces == len(Spans.of(numbers).ranges)
