"""Words of texts."""

import pytest

from fhir_server.terminology.words import fold, keys_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Fièvre  typhoïde", ["fievre", "typhoide"]),
        ("(disorder), NOS.", ["disorder", "nos"]),
        ("non-insulin 12345-6 E11.9", ["non-insulin", "12345-6", "e11.9"]),
        ("Straße", ["strasse"]),
        ("-- ... ", []),
        ("حُمَّى", ["حمى"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_text_is_found_by_the_parts_of_its_words_too() -> None:
    assert keys_of("Non-insulin dependent") == {"non-insulin", "non", "insulin", "dependent"}


def test_folding_takes_case_and_accents_away() -> None:
    assert fold("ÉÀÇ Ñ") == "eac n"
