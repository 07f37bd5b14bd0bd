"""Who wants which messages."""

import pytest

from fhir_server.features.notifications.preferences import Wishes, word_of


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("STOP", "stop"), ("stop.", "stop"), (" Stop !\n", "stop"), ("Arrêt", "stop"), ("ARRE\u0302T", "stop"), ("unsubscribe", "stop"),
        ("baja", "stop"), ("توقف", "stop"), ("تَوَقَّفْ", "stop"), ("إلغاء الاشتراك", "stop"), ("الغاء  الإشتراك", "stop"), ("\u200fتوقف\u200f", "stop"),
        ("START", "start"), ("Oui", "start"), ("Sí", "start"), ("نعم", "start"), ("إبدأ", "start"),
        ("Please do not stop my treatment", None), ("stopped", None), ("", None), ("😀", None), ("arrêtez de fumer", None),
    ],
)  # fmt: skip
def test_words(text: str, meaning: str | None) -> None:
    assert word_of(text) == meaning


def test_what_counts_before_what() -> None:
    wishes = Wishes({("reminder", "sms"): True, ("reminder", ""): False, ("", "email"): False}, frozenset({"+212600000001"}))
    assert wishes.wants("reminder", "sms", "+212600000002")
    assert not wishes.wants("reminder", "sms", "+212 600 000 001"), "STOP counts before everything"
    assert not wishes.wants("ticket-called", "whatsapp", "+212600000001"), "STOP of the address counts for every channel"
    assert not wishes.wants("reminder", "push"), "the kind through whatever channel"
    assert not wishes.wants("confirmation", "email", "a@b.example")
    assert wishes.wants("confirmation", "push")
    nothing = Wishes({("", ""): False, ("confirmation", "sms"): True})
    assert not nothing.wants("reminder", "push") and nothing.wants("confirmation", "sms")


def test_a_tenants_silence_gives_way_to_the_persons_word() -> None:
    assert not Wishes(silent=frozenset({"reminder"})).wants("reminder", "sms")
    assert Wishes({("reminder", ""): True}, silent=frozenset({"reminder"})).wants("reminder", "sms")
