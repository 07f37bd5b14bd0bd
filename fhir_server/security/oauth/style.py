"""How pages of apps should look beside ours. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html

The URL names the content by its hash, so that it changes when the content does and may be kept forever.
"""

import json
from hashlib import sha256

from fhir_server.security.oauth.urls import Urls

_STYLE = {
    "color_background": "#ffffff",
    "color_error": "#b3261e",
    "color_highlight": "#0b6e6e",
    "color_modal_backdrop": "rgba(16, 24, 32, 0.5)",
    "color_success": "#1b7f4b",
    "color_text": "#16202a",
    "dim_border_radius": "6px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans Arabic', sans-serif",
    "font_family_heading": "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans Arabic', sans-serif",
}
TEXT = json.dumps(_STYLE, indent=2).encode()
HASH = sha256(TEXT).hexdigest()[:16]


def url(urls: Urls) -> str:
    """Where a tenant serves the style."""
    return f"{urls.issuer}/smart-style.json?v={HASH}"
