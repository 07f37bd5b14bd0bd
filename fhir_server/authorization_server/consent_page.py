"""The pages of an authorization request: patient, encounter, and what the app may have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from babel.dates import format_date
from flask import Response
from werkzeug.datastructures import MultiDict

from fhir_server.authorization_server import browser, scope_words
from fhir_server.authorization_server.picker import Person, Visit
from fhir_server.conformance.registry import Registry
from fhir_server.security.oauth import consent_choice
from fhir_server.security.oauth.authorize import Asked
from fhir_server.security.oauth.clients import Client

# With more boxes than this the groups are folded.
_MANY = 14


@dataclass(frozen=True, slots=True)
class Found:
    """What the patient picker shows. `searched`: whether a search was made; `more`: whether more were found."""

    people: Sequence[Person]
    may_search: bool
    searched: bool
    more: bool
    text: str


def pick_patient(slug: str, client: Client, asked: Asked, url: str, found: Found) -> Response:
    """Asks which patient the app is to work with."""
    return _page(slug, client, asked, "picker.html", url=url, found=found)


def pick_encounter(slug: str, client: Client, asked: Asked, url: str, visits: Sequence[Visit]) -> Response:
    """Asks which of a patient's encounters the app is to work with."""
    return _page(slug, client, asked, "encounter.html", url=url, visits=visits)


def show(
    slug: str, client: Client, asked: Asked, registry: Registry, offered: str, person: Person | None, url: str
) -> Response:
    """Asks what the app may have."""
    found = consent_choice.items(offered, registry)
    return _page(
        slug,
        client,
        asked,
        "consent.html",
        home=client.metadata.get("client_uri"),
        contacts=client.contacts,
        goes_to=asked.destination.place,
        sections=scope_words.sections(found, browser.language(slug)),
        many=len(found) > _MANY,
        words=frozenset(offered.split()),
        person=person,
        url=url,
    )


def _page(slug: str, client: Client, asked: Asked, template: str, **values: Any) -> Response:
    day = day_in(browser.language(slug))
    return browser.page(template, leads_to=[asked.destination.place], app=client.name, day=day, **values)


def day_in(language: str) -> Callable[[str], str]:
    """Writes FHIR dates, as far as they go, for people who speak a language."""
    return partial(_day, language)


def _day(language: str, text: str) -> str:
    try:
        if len(text) == 7:
            return format_date(date.fromisoformat(f"{text}-01"), "MMMM y", locale=language)
        return format_date(date.fromisoformat(text[:10]), "long", locale=language) if len(text) > 7 else text
    except ValueError:
        return text


def chosen(offered: str, registry: Registry, form: MultiDict[str, str]) -> str:
    """The scopes that remain of those offered, by what the consent page's form has ticked."""
    ticked = frozenset(form.getlist("allow"))
    categories: dict[str, list[str]] = {}
    for key in form.getlist("narrow"):
        categories[key] = form.getlist(f"category {key}")
    return consent_choice.chosen(offered, registry, ticked, categories)
