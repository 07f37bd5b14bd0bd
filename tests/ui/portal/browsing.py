"""What the browser tests of the portal share."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.ui.conftest import Demo, scrolls_sideways

Axe = Callable[[Page], list[str]]
Open = Callable[..., Page]
WORDS = {
    "fr": {"book": "Votre prochain rendez-vous", "move": "Déplacer à cet horaire", "moved": "Votre rendez-vous est déplacé.",
           "turn": "C’est à vous", "lost": "Pas de connexion", "send": "Envoyer mes réponses", "thanks": "La clinique a reçu vos réponses"},
    "ar": {"book": "موعدكم القادم", "move": "تغيير إلى هذا الوقت", "moved": "تم تغيير موعدكم.", "turn": "حان دوركم",
           "lost": "لا يوجد اتصال", "send": "إرسال أجوبتي", "thanks": "وصلت أجوبتكم إلى العيادة"},
}  # fmt: skip


def fine(page: Page, axe: Axe) -> None:
    """Nothing that axe finds serious, nothing wider than the phone."""
    page.wait_for_load_state("load")
    found = axe(page)
    assert found == [], f"{page.url}: {found}"
    assert not scrolls_sideways(page), page.url


def open_queue(demo: Demo) -> None:
    """Open the queue of the demo, whatever other tests did to it."""
    demo.client().post("HealthcareService/demo-queue/$open")
