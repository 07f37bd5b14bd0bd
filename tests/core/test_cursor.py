"""Page cursors are good for exactly what they were made for."""

import pytest

from fhir_server.core.cursor import seal, unseal
from fhir_server.core.errors import Invalid

KEY = b"k" * 32


@pytest.mark.parametrize("position", [17, [1, "müller", None], ["2026-01-01", -5, 2**62]])
def test_a_cursor_gives_back_its_position(position: object) -> None:
    assert unseal(KEY, "1|Patient|name=a", seal(KEY, "1|Patient|name=a", position)) == position


@pytest.mark.parametrize("scope", ["2|Patient|name=a", "1|Patient|name=b", "1|Patient|name=a "])
def test_a_cursor_of_another_tenant_or_query_is_refused(scope: str) -> None:
    with pytest.raises(Invalid) as refused:
        unseal(KEY, scope, seal(KEY, "1|Patient|name=a", 17))
    assert refused.value.issues[0].expression == "http._cursor"


@pytest.mark.parametrize("text", ["", "x", "====", "é", "A" * 22, "A" * 40])
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        unseal(KEY, "s", text)


def test_every_changed_bit_is_noticed() -> None:
    cursor = seal(KEY, "s", [123456, "abc"])
    for place, letter in enumerate(cursor):
        changed = cursor[:place] + ("B" if letter == "A" else "A") + cursor[place + 1 :]
        # The last letter of base64 without padding has bits that carry nothing.
        if place < len(cursor) - 1:
            with pytest.raises(Invalid):
                unseal(KEY, "s", changed)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Invalid):
        unseal(b"z" * 32, "s", seal(KEY, "s", 1))
