"""The apps that are registered here, as the server's `$apps` tells the person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from fhir_server.authorization_server import app_words, browser
from ui import fhir, page
from ui.texts import language

# The app that comes with the server (`growth/`), and what it is registered with.
BUNDLED = "croissance"
BUNDLED_NAME = "Croissance"
BUNDLED_SCOPE = "launch launch/patient openid fhirUser online_access patient/Patient.rs patient/Observation.rs"
_BUNDLED_PATH = "/ui/apps/growth/"


@dataclass(frozen=True, slots=True)
class App:
    """A registered app. `from_record`: it can be opened on a patient; `alone`: it asks for the patient itself;
    `connected`: since when it acts for the person, "" where it does not; the rest only for who may look after apps."""

    id: str
    name: str
    active: bool
    kind: str
    from_record: bool
    alone: bool
    scope: str
    website: str = ""
    connected: str = ""
    registered: str = ""
    launch_url: str = ""
    redirect_uris: Sequence[str] = field(default=())
    contacts: Sequence[str] = field(default=())

    @property
    def bundled(self) -> bool:
        """Whether it is the one that comes with the server."""
        return self.id == BUNDLED

    @property
    def host(self) -> str:
        """Whose computers it runs on, as far as addresses tell."""
        return next((urlsplit(uri).netloc for uri in (self.website, self.launch_url, *self.redirect_uris) if uri), "")

    @property
    def words(self) -> list[str]:
        """The most that it may be allowed, in lines of plain words."""
        return app_words.lines(self.scope.split(), language())


def apps() -> list[App]:
    """All that the person may know of, by name."""
    answer = fhir.call("$apps", method="GET")
    found = [of(each["part"]) for each in answer.get("parameter", ()) if each["name"] == "app"]
    return sorted(found, key=lambda each: each.name.casefold())


def of(parts: Sequence[Mapping[str, Any]]) -> App:
    """An app of the parts of a parameter."""

    def all_of(name: str) -> list[Any]:
        return [next(value for key, value in part.items() if key != "name") for part in parts if part["name"] == name]

    def one(name: str, default: Any = "") -> Any:
        return next(iter(all_of(name)), default)

    return App(
        id=one("client-id"), name=one("name"), active=one("status") == "active", kind=one("kind"),
        from_record=one("opens-from-record", False), alone=one("asks-for-patient", False), scope=one("scope"),
        website=one("website"), connected=one("connected"), registered=one("registered"),
        launch_url=one("launch-url"), redirect_uris=all_of("redirect-uri"), contacts=all_of("contact"),
    )  # fmt: skip


def bundled_registration() -> dict[str, Any]:
    """The parameters that register the app that comes along, at the address of this request."""
    origin = browser.origin()
    launch = f"{origin}{_BUNDLED_PATH}launch.html"
    base = quote(f"{origin}/t/{page.tenant().slug}/fhir", safe="")
    return {
        "name": BUNDLED_NAME, "client-id": BUNDLED, "scope": BUNDLED_SCOPE,
        "redirect-uri": _uri(f"{origin}{_BUNDLED_PATH}"), "launch-url": _uri(launch),
        "website": _uri(f"{launch}?iss={base}"),
    }  # fmt: skip


def uris(texts: Sequence[str]) -> list[dict[str, str]]:
    """URIs as values of an operation's parameter."""
    return [_uri(text) for text in texts]


def _uri(text: str) -> dict[str, str]:
    return {"valueUri": text}
