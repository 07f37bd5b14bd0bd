"""A browser tab in which nothing may go wrong unseen, and what a person does in it."""

import json
import re
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, expect

from tests.browser.clinic import PASSWORD, PATIENT_SCOPE, Clinic

# Tells what a page's policy blocked, also where the console does not.
_TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d{3})")


class Tab:
    """One tab. `faults`: errors of the console and of scripts, what the policy blocked, answers of 5xx.

    A status that a test means to see is let pass by `expect_status`.
    """

    def __init__(self, context: BrowserContext, clinic: Clinic) -> None:
        context.set_default_timeout(60_000)
        context.add_init_script(_TELL_VIOLATIONS)
        self.clinic = clinic
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self._expected: set[int] = set()
        self._let: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._fault(f"script: {error}"))
        self.page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        refused = _REFUSED.match(message.text)
        if message.type == "error" and not (refused and int(refused[1]) in self._expected):
            self._fault(f"console: {message.text} ({message.location.get('url')})")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self._fault(f"{response.status} {response.url}")

    def _fault(self, text: str) -> None:
        if not any(each in text for each in self._let):
            self.faults.append(text)

    def let_pass(self, word: str) -> None:
        """Faults with the word are what the test is about: those heard are forgotten, and those to come."""
        self._let.append(word)
        self.faults[:] = [each for each in self.faults if word not in each]

    def expect_status(self, *statuses: int) -> None:
        """Answers with these statuses are what the test is about."""
        self._expected.update(statuses)

    # -- what the person does ------------------------------------------------------------------------------------------

    def open_app(self, client_id: str = "diary", scope: str = PATIENT_SCOPE, extra: str | None = None) -> None:
        """Go to the app, which sends the browser to our sign-in. `extra`: see app/launch.js."""
        query = {"iss": self.clinic.base, "client_id": client_id, "scope": scope}
        self.page.goto(f"{self.clinic.app}/launch.html?{urlencode(query | ({'extra': extra} if extra else {}))}")

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Fill in the form."""
        self.page.fill("[name=username]", email)
        self.page.fill("[name=password]", password)
        self.page.click("button.primary")

    def pick(self, text: str, patient_id: str) -> None:
        """Find a patient in the picker and choose them."""
        self.page.fill("[name=q]", text)
        self.page.click("[role=search] button")
        self.page.click(f"button[name=patient][value='{patient_id}']")

    def decide(self, decision: str = "allow") -> None:
        """Press a button of the consent page."""
        self.page.click(f"button[name=decision][value={decision}]")

    # -- what the app sees ---------------------------------------------------------------------------------------------

    def expect_app(self, state: str = "ready") -> None:
        """The app is shown again and came to this state."""
        self.page.wait_for_url(f"{self.clinic.app}/index.html*")
        expect(self.page.locator("#state")).not_to_have_text("waiting")
        expect(self.page.locator("#state")).to_have_text(re.compile(state))

    @property
    def token(self) -> dict[str, Any]:
        """The token response that the app shows."""
        found: dict[str, Any] = json.loads(self.page.inner_text("#response"))
        return found

    @property
    def observations(self) -> list[str]:
        """The observations that the app shows."""
        return sorted(self.page.locator("#observations li").all_inner_texts())

    def ask(self, script: str) -> Any:
        """What a script of the app gives; `client` is the library's client."""
        return self.page.evaluate(f"async () => {{ const client = window.client; return {script}; }}")

    def request(self, url: str) -> Any:
        """A FHIR request of the app: what came, or the status of the refusal. The library renews an access token that
        was refused; `once` in a test means without that."""
        script = f"await client.request({json.dumps(url)}).catch((error) => error.status ?? error.message)"
        return self.ask(script)
