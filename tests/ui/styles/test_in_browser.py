"""The design system in a real browser: axe, sizes of targets, the ring around what has the focus."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Demo, scrolls_sideways
from ui.colours import SHAPE, contrast

_SMALL = """() => [...document.querySelectorAll("main a[href], main button, main input, main select, main textarea, main summary")]
    .filter(each => each.offsetParent && !each.closest("p, li"))
    .map(each => [each.outerHTML.slice(0, 80), (each.type === "checkbox" || each.type === "radio" ? each.parentElement : each).getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24).map(([text]) => text)"""
_RING = """each => { each.focus({focusVisible: true}); const style = getComputedStyle(each);
    const hex = text => "#" + text.match(/\\d+/g).slice(0, 3).map(part => Number(part).toString(16).padStart(2, "0")).join("");
    const ground = getComputedStyle(document.body).backgroundColor;
    return [style.outlineStyle, parseFloat(style.outlineWidth), hex(style.outlineColor), hex(ground), style.boxShadow !== "none"]; }"""


@pytest.mark.parametrize(
    ("lang", "theme", "width"), [("fr", "light", 1280), ("ar", "dark", 320), ("ar", "light", 360), ("fr", "dark", 360)]
)
def test_every_part_in_every_way(
    demo: Demo, browser_page: Callable[..., Page], axe: Callable[[Page], list[str]], lang: str, theme: str, width: int
) -> None:
    page = browser_page(lang)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(f"{demo.base}/styles/sample?ui_locales={lang}&theme={theme}")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == theme
    assert axe(page) == [] and not scrolls_sideways(page)
    assert page.evaluate(_SMALL) == []
    for name in ("main .btn-accent", "main .icon-button", "main a.tile", "main summary, main .time"):
        style, thick, colour, ground, shadow = page.locator(name).first.evaluate(_RING)
        assert (style != "none" and thick >= 2 and contrast(colour, ground) >= SHAPE) or shadow, name


def test_four_ways_side_by_side(
    demo: Demo, browser_page: Callable[..., Page], axe: Callable[[Page], list[str]]
) -> None:
    page = browser_page("fr")
    page.goto(f"{demo.origin}/ui/styles/")
    assert axe(page) == []
    page.locator("iframe").last.scroll_into_view_if_needed()
    expect(page.frame_locator("iframe").last.locator("h1")).to_have_text("نظام التصميم")
    page.locator("#dialog").scroll_into_view_if_needed()
    page.locator('[data-open="sample-dialog"]').click()
    expect(page.locator("#sample-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#sample-dialog")).to_be_hidden()
