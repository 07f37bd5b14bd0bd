"""SMS parts: the limits of both alphabets, and what makes a text fit the smaller one."""

import pytest

from fhir_server.features.notifications.text_parts import in_gsm7, measure, shortest


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # 153 is odd: the 77th pair of a part does not fit and begins the next one.
        ("€" * 152, "GSM-7", 304, 2),
        ("€" * 153, "GSM-7", 306, 3),
        ("é" * 160, "GSM-7", 160, 1),
        ("Ç" * 160, "GSM-7", 160, 1),
        ("ç", "UCS-2", 1, 1),
        ("ê" + "a" * 69, "UCS-2", 70, 1),
        ("ê" + "a" * 70, "UCS-2", 71, 2),
        ("م" * 134, "UCS-2", 134, 2),
        ("م" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        # 67 is odd: 33 of these fit a part.
        ("😀" * 66, "UCS-2", 132, 2),
        ("😀" * 67, "UCS-2", 134, 3),
    ],
)
def test_parts(text: str, encoding: str, units: int, parts: int) -> None:
    found = measure(text)
    assert (found.encoding, found.units, found.parts) == (encoding, units, parts)


def test_it_names_the_characters_that_force_ucs2() -> None:
    assert measure("l’hôpital et l’accueil").forcing == ("’", "ô")
    assert measure("hello").forcing == ()


@pytest.mark.parametrize(
    ("text", "plainer"),
    [
        ("L’août «\u00a0reçu\u202f» – œuf…", "L'aout \" recu \" - oeuf..."),
        ("déjà vu à l'été", "déjà vu à l'été"),
        ("Mañana a las 9: sábado", "Mañana a las 9: sabado"),
        ("e\u0301te\u0301", "été"),
        ("مرحبا", "مرحبا"),
        ("Łódź 😀", "Łodz 😀"),
    ],
)
def test_written_in_gsm7(text: str, plainer: str) -> None:
    assert in_gsm7(text) == plainer


def test_a_text_is_changed_only_where_that_saves_a_part() -> None:
    long = "Votre rendez-vous du mer. 12 août à 09:30 est confirmé. Clinique Saint-Jérôme, rue de la Paix."
    assert measure(long).parts == 2 and measure(shortest(long)).parts == 1
    assert shortest("À bientôt") == "À bientôt"
    assert shortest("م" * 100) == "م" * 100
