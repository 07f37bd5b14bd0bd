"""Random walks over register, grant, redeem, refresh, revoke, introspect beside a model of them. smart-246"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.oauth.place import App, Place, error

_SCOPE = "launch/patient offline_access patient/*.rs"


@dataclass(eq=False)
class Family:
    """The model of a grant: which of its tokens are good."""

    app: App
    code: str
    live: bool = True
    code_used: bool = False
    access: set[str] = field(default_factory=set)
    current: str = ""
    previous: str = ""
    dead: set[str] = field(default_factory=set)

    def end(self) -> None:
        """Nothing of it is good any more."""
        self.live = False
        self.access.clear()


class Walk(RuleBasedStateMachine):
    """The rules. Each step asks the server, and compares with the model."""

    place: Place
    apps = Bundle("apps")
    families = Bundle("families")

    @initialize(target=apps, method=st.sampled_from(["client_secret_basic", "client_secret_post", "private_key_jwt"]))
    def begin(self, method: str) -> MultipleResults[App]:
        self.tokens: dict[str, Family] = {}
        self.asker = self.place.app(method)
        return multiple(self.asker, self.place.app())

    @rule(
        target=families, app=apps, thief=apps,
        modes=st.lists(st.sampled_from(["good", "good", "good", "verifier", "thief"]), min_size=1, max_size=3),
    )  # fmt: skip
    def grant(self, app: App, thief: App, modes: list[str]) -> Family:
        family = Family(app, self.place.new_code(app, _SCOPE))
        for mode in modes:
            by = thief if mode == "thief" else app
            answer = self.place.redeem(by, family.code, **({"code_verifier": "w" * 50} if mode == "verifier" else {}))
            if family.code_used or mode == "verifier" or by is not app:
                assert error(answer) == (400, "invalid_grant")
                family.end()
            else:
                self._take(family, answer.json)
            family.code_used = True
        self._look(family)
        return family

    @rule(
        family=families, thief=apps,
        tries=st.lists(st.sampled_from(["current", "current", "previous", "dead"]), min_size=1, max_size=5),
    )  # fmt: skip
    def refresh(self, family: Family, tries: list[str], thief: App) -> None:
        for which in tries:
            self._refresh(family, which, thief)
        self._look(family)

    def _refresh(self, family: Family, which: str, thief: App) -> None:
        token = {"current": family.current, "previous": family.previous, "dead": next(iter(family.dead), "")}[which]
        if not token:
            return
        if thief is not family.app:
            assert error(self.place.refresh(thief, token)) == (400, "invalid_grant")
        answer = self.place.refresh(family.app, token)
        if not family.live:
            assert error(answer) == (400, "invalid_grant")
        elif which == "dead":
            # Its successor was used: somebody has an old one.
            assert error(answer) == (400, "invalid_grant")
            family.end()
        elif which == "previous":
            assert answer.json["refresh_token"] == family.current
            self._keep(family, answer.json["access_token"])
        else:
            if family.previous:
                family.dead.add(family.previous)
            family.previous = family.current
            self._take(family, answer.json)

    @rule(family=families)
    def redeem_again(self, family: Family) -> None:
        assert error(self.place.redeem(family.app, family.code)) == (400, "invalid_grant")
        family.end()
        self._look(family)

    @rule(family=families, whole=st.booleans(), by=apps)
    def revoke(self, family: Family, whole: bool, by: App) -> None:
        token = family.current if whole else next(iter(sorted(family.access)), "")
        if not token:
            return
        assert self.place.call(by, "revoke", {"token": token}).status == 200
        if by is family.app and whole:
            family.end()
        elif by is family.app:
            family.access.discard(token)
        self._look(family)

    def _look(self, family: Family) -> None:
        for token, owner in self.tokens.items():
            if owner is family:
                found = self.place.call(self.asker, "introspect", {"token": token}).json
                assert found["active"] is (token in family.access)
                assert self.place.is_live(token) is (token in family.access)

    def _take(self, family: Family, body: dict[str, Any]) -> None:
        assert body["scope"] == _SCOPE and body["patient"] == "p1"
        family.current = body["refresh_token"]
        self._keep(family, body["access_token"])

    def _keep(self, family: Family, token: str) -> None:
        assert token not in self.tokens
        self.tokens[token] = family
        family.access.add(token)


def test_the_server_agrees_with_the_model(place: Place) -> None:
    """smart-246"""
    run_state_machine_as_test(
        type("WalkHere", (Walk,), {"place": place}),
        settings=settings(
            max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
