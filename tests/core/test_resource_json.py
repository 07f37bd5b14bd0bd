"""JSON of resources keeps what was written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.errors import Invalid
from fhir_server.core.resource_json import decode, decode_sent, depth, encode, encode_sorted


@pytest.mark.parametrize("text", ["1.00", "0.010", "185.0", "3.1415926535897932384626433832795028", "-0.5", "12", "0.0"])
def test_digits_are_kept(text: str) -> None:
    assert encode(decode(f'{{"value":{text}}}')) == f'{{"value":{text}}}'.encode()


def test_decimals_are_exact() -> None:
    assert decode('{"value":0.1}')["value"] == Decimal("0.1")


def test_order_is_kept() -> None:
    assert encode(decode(b'{"z":1,"a":{"y":2,"b":3}}')) == b'{"z":1,"a":{"y":2,"b":3}}'


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"{'a':1}", b'{"a":NaN}', b"\xff", b'{"a":1}x', b"[" * 100_000, b'{"a":1E+99999999999999999999}'],
)
def test_what_is_not_json_is_a_400(text: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        decode(text)
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["1e401", "-1e-401", "1E+999999999", "1E+99999999999999999999", "0E+500"])
def test_numbers_beyond_what_can_be_compared_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode_sent(f'{{"value":{text}}}'.encode(), max_values=9, max_string=99)
    kept = decode_sent(b'{"value":1.50e300,"other":0.00}', max_values=9, max_string=99)
    assert kept == {"value": Decimal("1.50e300"), "other": Decimal("0.00")}


def test_sorted_text_tells_digits_apart_and_orders_not() -> None:
    assert encode_sorted(decode('{"b":1,"a":2}')) == encode_sorted(decode('{"a":2,"b":1}'))
    assert encode_sorted(decode('{"a":1.0}')) != encode_sorted(decode('{"a":1.00}'))


JSON = st.recursive(
    st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(JSON)
def test_depth_is_what_recursion_says(value: object) -> None:
    def deep(node: object) -> int:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return 1 + max(map(deep, children), default=0)

    assert depth(value) == deep(value)


def test_depth_stops_past_the_limit() -> None:
    value: object = 1
    for _ in range(1000):
        value = [value]
    assert depth(value, 10) == 11
