"""The design system: contrasts, completeness, and a clinic's own look."""

import re
from collections.abc import Callable

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.storage import operator
from tests.ui.conftest import Demo
from ui.colours import SHAPE, TEXT, contrast, parse
from ui.styles.pages import SAMPLES
from ui.styles.tokens import Pair, pairs, tokens
from ui.texts import FOLDER


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_every_pair_of_colours_is_readable(pair: Pair) -> None:
    assert pair.light >= pair.needed and pair.dark >= pair.needed


def test_pairs_are_what_the_sheet_says() -> None:
    assert tokens(False)["surface"] == "#fff" and tokens(True)["surface"] == "#172227"
    assert set(tokens(True)) == set(tokens(False))


def test_every_part_is_shown() -> None:
    macros = re.findall(r"{% macro ([a-z]\w*)\(", (FOLDER / "templates" / "parts.html").read_text(encoding="utf-8"))
    folder = FOLDER / "styles" / "templates" / "styles" / "parts"
    shown = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.html"))
    # What makes hidden fields only has nothing to show.
    assert [name for name in macros if f"parts.{name}(" not in shown and name not in ("csrf", "once")] == []
    assert {path.stem for path in folder.glob("*.html")} == {name for name, _ in SAMPLES}


def test_no_style_sheet_has_a_direction() -> None:
    bad = re.compile(
        r"(?:^|[\s;{])(?:left|right)\s*:|(?:margin|padding|border)-(?:left|right)\b|text-align:\s*(?:left|right)\b|float:\s*(?:left|right)"
    )
    # JSON and differences of code run from the left in every language.
    sheets = [
        path for path in (*FOLDER.glob("static/*.css"), *FOLDER.glob("*/static/*.css")) if path.name != "console.css"
    ]
    assert len(sheets) > 5
    assert [path.name for path in sheets if bad.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("lang", ["fr", "en", "es", "ar"])
@pytest.mark.parametrize("sample", ["", "sample"])
def test_it_speaks_every_language_with_and_without_a_clinic(clinic: Demo, lang: str, sample: str) -> None:
    visitor = clinic.person()
    for address in (f"/t/{clinic.slug}/ui/styles/{sample}", f"/ui/styles/{sample}"):
        answer = visitor.http.get(f"{address}?ui_locales={lang}", headers={"Accept-Language": "de"})
        assert answer.status_code == 200 and f'lang="{lang}" dir="{"rtl" if lang == "ar" else "ltr"}"' in answer.text
        assert answer.text.count("<h1") == 1
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers.get("X-Frame-Options") == "SAMEORIGIN"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_looking_at_it_changes_nobodys_language(clinic: Demo) -> None:
    visitor = clinic.person()
    answer = visitor.get("styles/sample?ui_locales=ar")
    assert "Set-Cookie" not in answer.headers and 'lang="fr"' in visitor.get("").text


def test_values_follow_the_language_of_each_request(clinic: Demo) -> None:
    visitor = clinic.person()
    assert "entre" in visitor.get("styles/sample?ui_locales=fr").text
    text = visitor.get("styles/sample?ui_locales=ar").text
    assert "entre" not in re.sub(r"<[^>]+>", "", text)


# -- a clinic's own look -----------------------------------------------------------------------------------------------


def theme(brand: dict[str, object]) -> tuple[str, str]:
    """A tenant with this brand: its slug, and its colours."""
    from tests.ui.conftest import Demo as Place

    slug = f"brand-{abs(hash(str(brand))) % 10**8}"
    operator.create_tenant(session(), slug, "Clinic of colours", {"zone": "UTC", "brand": brand})
    answer = Place(slug, {}).person().get("theme.css")
    assert answer.status_code == 200
    return slug, str(answer.text)


def chosen(sheet: str) -> list[tuple[str, str]]:
    """Accent and what stands on it, for light and dark."""
    accents = re.findall(r"--salam-accent:([^;}]+)", sheet)
    return list(zip(accents, re.findall(r"--salam-on-accent:([^;}]+)", sheet), strict=True))


@pytest.mark.parametrize("accent", ["#ffee00", "#ffffff", "#000000", "#777777", "#00ff00", "#7a1fa2", "#f0f"])
def test_any_colour_of_a_clinic_becomes_readable(accent: str) -> None:
    _, sheet = theme({"name": "A", "accent": accent})
    (light, on_light), (dark, on_dark) = chosen(sheet)
    assert contrast(light, tokens(False)["surface"]) >= TEXT and contrast(light, tokens(False)["ground"]) >= SHAPE
    assert contrast(dark, tokens(True)["surface"]) >= TEXT
    assert contrast(on_light, light) >= TEXT and contrast(on_dark, dark) >= TEXT


def test_a_readable_colour_is_taken_as_it_is() -> None:
    _, sheet = theme({"accent": "#7a1fa2", "accent_dark": "#d8a8f0"})
    assert [accent for accent, _ in chosen(sheet)] == ["#7a1fa2", "#d8a8f0"]


@pytest.mark.parametrize(
    "accent", ["red", "#fff;}body{display:none", "url(https://evil.example)", "</style>", 7, None, ["#fff"]]
)
def test_what_is_no_colour_never_reaches_the_sheet(accent: object) -> None:
    _, sheet = theme({"accent": accent, "accent_dark": accent})
    assert all(parse(colour) for pair in chosen(sheet) for colour in pair)
    assert "evil" not in sheet and "body" not in sheet and "<" not in sheet


def test_name_and_logo_are_the_clinics_own(clinic: Demo) -> None:
    from tests.ui.conftest import Demo as Place

    logo = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    slug, _ = theme({"name": "Étoile <b>& Fils</b>", "accent": "#123456", "logo_svg": logo})
    visitor = Place(slug, {}).person()
    text = visitor.get("").text
    assert "Étoile &lt;b&gt;&amp; Fils&lt;/b&gt;" in text and f"/t/{slug}/ui/logo.svg" in text
    answer = visitor.get("logo.svg")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert (
        "script-src" not in answer.headers["Content-Security-Policy"]
        and "sandbox" in answer.headers["Content-Security-Policy"]
    )


def test_a_clinic_without_a_look_has_salams(clinic: Demo, new_tenant: Callable[[], object]) -> None:
    visitor = clinic.person()
    assert [accent for accent, _ in chosen(str(visitor.get("theme.css").text))] == ["#0b6b63", "#5cc8bd"]
    assert visitor.get("logo.svg").status_code == 404
