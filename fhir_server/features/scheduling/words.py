"""The few words that the agenda says to people, in the tenant's language: `profiles/scheduling/agenda_words.json`."""

from collections.abc import Mapping
from typing import Any

from fhir_server.conformance.own_definitions import own_table
from fhir_server.core.context import Context

CANCELATION = "urn:salam:CodeSystem:cancelation"


def words(ctx: Context) -> Mapping[str, str]:
    """The words by name; French where the tenant has no language of these."""
    ((_, table),) = own_table("agenda_words")
    found: Mapping[str, str] = table.get(ctx.tenant.language) or table["fr"]
    return found


def cancelation(ctx: Context, code: str) -> dict[str, Any]:
    """A cancelationReason of the server's own."""
    return {"coding": [{"system": CANCELATION, "code": code}], "text": words(ctx)[code]}
