"""An AuditEvent in a sentence, for the patient who reads the report of disclosures: in French or English."""

from collections.abc import Mapping
from html import escape
from typing import Any

from fhir_server.security.audit_events import CLIENT, Kind, purpose_title
from fhir_server.security.roles import roles

LANGUAGES = ("fr", "en")
_WORDS = {
    "fr": {"by": "par", "with": "avec l’application", "for": "motif :", "none": "un système"},
    "en": {"by": "by", "with": "with the app", "for": "purpose:", "none": "a system"},
}


def narrative(event: Mapping[str, Any], kind: Kind, purpose: str, language: str) -> dict[str, str]:
    """`AuditEvent.text` of an event: what, when, by whom, with which app, why. `language`: fr or en."""
    words = _WORDS[language]
    user = next((agent for agent in event["agent"] if agent.get("requestor") and "role" in agent), None)
    apps = [agent["who"] for agent in event["agent"] if agent["who"].get("identifier", {}).get("system") == CLIENT]
    app = apps[0].get("display", "") if apps else ""
    who = words["none"]
    if user is not None:
        role = roles().get(user["role"][0]["text"])
        title = role.titles.get(language, role.name) if role else user["role"][0]["text"]
        who = f"{user.get('name') or user['who'].get('reference', '')} ({title})".strip()
    sentence = f"{kind.titles[language]}, {event['recorded']}, {words['by']} {who}"
    if app:
        sentence += f", {words['with']} {app}"
    if purpose:
        sentence += f"; {words['for']} {purpose_title(purpose, language)}"
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}"><p>'
        f"{escape(sentence)}.</p></div>",
    }
