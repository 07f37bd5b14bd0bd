"""Which passwords are taken, and how they are kept."""

import pytest

from fhir_server.security import passwords


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("court", "short"), ("onze-lettre", "short"), ("x" * 257, "long"), ("aaaaaaaaaaaaaaaa", "common"), ("abababababab", "common"),
        ("password1234", "common"), ("Passw0rd!!!!", "common"), ("motdepasse2024", "common"), ("QWERTYUIOP123", "common"),
        ("casablanca2030", "common"), ("123456789012", "common"), ("P@ssword123456", "common"), ("bonjourbonjour", "common"),
        ("salma.benjelloun", "known"), ("salma.benjelloun1", "known"), ("Salma Benjelloun", "known"),
        ("rivage-lampe-ortie", ""), ("quatre mots bien choisis", ""), ("كلمات لا رابط بينها", ""), ("Xk9#mQ2$vB7!", ""),
        ("salma aime les oranges", ""),
    ],
)  # fmt: skip
def test_weakness(password: str, expected: str) -> None:
    assert passwords.weakness(password, "salma.benjelloun@clinic.example", "Salma Benjelloun") == expected


def test_hashes_are_argon2id_with_owasps_parameters() -> None:
    made = passwords.hash_password("rivage-lampe-ortie")
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(made, "rivage-lampe-ortie") and not passwords.verify(made, "rivage-lampe-orties")
    assert not passwords.outdated(made)


def test_letters_that_look_the_same_are_the_same() -> None:
    composed, decomposed = "caf\u00e9 du port ancien", "cafe\u0301 du port ancien"
    assert passwords.verify(passwords.hash_password(composed), decomposed)


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"])
def test_what_is_no_hash_matches_nothing(stored: str | None) -> None:
    for password in ("", "nobody has this password", "x" * 10_000):
        assert not passwords.verify(stored, password)
