"""A tenant's own look: name, logo and colours (setting `brand` of the tenant)."""

from dataclasses import dataclass

from fhir_server.core.context import Tenant
from ui.colours import ink_on, parse, readable

ACCENT, ACCENT_DARK = "#0b6b63", "#5cc8bd"
# The grounds of app.css on which the colours have to be read.
_GROUND, _SURFACE_DARK = "#f4f6f7", "#172227"


@dataclass(frozen=True, slots=True)
class Brand:
    """`accent` on light and `accent_dark` on dark ground, as #rrggbb; `logo`: an SVG as text, "" for none; `domain`:
    the host at which the pages are the tenant's own, "" for none."""

    name: str
    accent: str = ACCENT
    accent_dark: str = ACCENT_DARK
    logo: str = ""
    domain: str = ""


def brand_of(tenant: Tenant | None) -> Brand:
    """The brand of a tenant, in shades that can be read; Salam's own where there is no tenant."""
    if tenant is None:
        return Brand("Salam")
    given = tenant.settings.get("brand") or {}
    light = str(given.get("accent") or ACCENT)
    dark = str(given.get("accent_dark") or given.get("accent") or ACCENT_DARK)
    return Brand(
        name=str(given.get("name") or tenant.name),
        accent=readable(light if parse(light) else ACCENT, _GROUND),
        accent_dark=readable(dark if parse(dark) else ACCENT_DARK, _SURFACE_DARK),
        logo=str(given.get("logo_svg") or ""),
        domain=str(given.get("domain") or ""),
    )


def stylesheet(brand: Brand) -> str:
    """The colours as CSS."""
    rules = ((":root", brand.accent), ("[data-bs-theme=dark]", brand.accent_dark))
    return "".join(f"{place}{{--salam-accent:{colour};--salam-on-accent:{ink_on(colour)};}}" for place, colour in rules)
