"""The command that asks the same as a page."""

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode

from fhir_server.authorization_server import browser
from ui.page import tenant


def command(
    method: str, path: str, query: Sequence[tuple[str, str]] = (), *, body: str = "", if_match: str = ""
) -> str:
    """A line for a shell; the token stands in `$TOKEN`. `body`: the name of a file."""
    url = f"{browser.origin()}/t/{tenant().slug}/fhir/{path}" + (f"?{urlencode(list(query))}" if query else "")
    words = ["curl", "-sS"]
    if method != "GET":
        words += ["-X", method]
    words += ["-H", "Authorization: Bearer $TOKEN"]
    if if_match:
        words += ["-H", f'If-Match: W/"{if_match}"']
    if body:
        words += ["-H", "Content-Type: application/fhir+json", "-d", f"@{body}"]
    # Single quotes would keep the shell from filling in the token.
    return " ".join(
        '"' + word.replace('"', '\\"') + '"' if "$TOKEN" in word else shlex.quote(word) for word in [*words, url]
    )
