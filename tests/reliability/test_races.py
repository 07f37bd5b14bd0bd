"""What many clients do at the same moment has the result of some order of doing it one after the other.

Each race is run over HTTP against a web server of several processes, and in this process with a database connection per
thread, where more of it really happens at once.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.client import Client
from tests.reliability.wire import Http, together
from tests.rest.bodies import bundle, entry, mark, patient

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Ask = Callable[..., Any]
RACERS = 20
WRITERS = 50
RETRYABLE = (409, 429, 503)


@pytest.fixture(params=["http", "threads"])
def racer(request: pytest.FixtureRequest, tenant: "TestTenant") -> Iterator[Callable[[], Ask]]:
    """Makes clients, one per thread: `ask(method, path, body, **headers)` gives an answer with status and json."""
    token = tenant.token()
    made: list[Http] = []

    def make() -> Ask:
        if request.param == "threads":
            return Client(tenant.slug, token).request
        url = request.getfixturevalue("live_server")
        made.append(Http(f"{url}/t/{tenant.slug}/fhir", token))
        return made[-1].request

    yield make
    for one in made:
        one.close()


def ids(client: Client, word: str) -> list[str]:
    return [found["id"] for found in client.search(f"Patient?identifier=urn:test|{word}&_count=100")]


def versions(client: Client, id_: str) -> int:
    return len(client.get(f"Patient/{id_}/_history?_count=1000").json["entry"])


def test_concurrent_conditional_creates_make_one_resource(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    condition = f"identifier=urn:test|{word}"
    asks = [racer() for _ in range(RACERS)]
    answers = together([lambda ask=ask: ask("POST", "Patient", patient(word), if_none_exist=condition) for ask in asks])
    assert sorted(answer.status for answer in answers) == [200] * (RACERS - 1) + [201]
    assert {answer.json["id"] for answer in answers} == set(ids(client, word))
    assert len(ids(client, word)) == 1


def test_conditional_creates_in_transactions_make_one_resource(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    sent = bundle("transaction", entry("POST", "Patient", patient(word), ifNoneExist=f"identifier=urn:test|{word}"))
    asks = [racer() for _ in range(RACERS)]
    answers = together([lambda ask=ask: ask("POST", "", sent) for ask in asks])
    assert {answer.status for answer in answers} == {200}
    said = sorted(answer.json["entry"][0]["response"]["status"][:3] for answer in answers)
    assert said == ["200"] * (RACERS - 1) + ["201"]
    assert len(ids(client, word)) == 1


def test_concurrent_conditional_updates_make_one_resource(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    url = f"Patient?identifier=urn:test|{word}"
    asks = [racer() for _ in range(RACERS)]
    answers = together(
        [
            lambda n=n, ask=ask: ask("PUT", url, patient(word, multipleBirthInteger=n + 1))
            for n, ask in enumerate(asks)
        ]
    )
    assert sorted(answer.status for answer in answers) == [200] * (RACERS - 1) + [201]
    (id_,) = ids(client, word)
    assert versions(client, id_) == RACERS
    assert len({answer.json["meta"]["versionId"] for answer in answers}) == RACERS


def test_concurrent_creates_under_one_id_make_one_history(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    asks = [racer() for _ in range(RACERS)]
    answers = together(
        [
            lambda n=n, ask=ask: ask("PUT", f"Patient/{word}", patient(word, id=word, multipleBirthInteger=n + 1))
            for n, ask in enumerate(asks)
        ]
    )
    assert sorted(answer.status for answer in answers) == [200] * (RACERS - 1) + [201]
    assert versions(client, word) == RACERS


def test_only_one_creates_under_if_none_match(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    asks = [racer() for _ in range(RACERS)]
    answers = together(
        [
            lambda n=n, ask=ask: ask(
                "PUT", f"Patient/{word}", patient(word, id=word, multipleBirthInteger=n + 1), if_none_match="*"
            )
            for n, ask in enumerate(asks)
        ]
    )
    assert sorted(answer.status for answer in answers) == [201] + [412] * (RACERS - 1)
    assert versions(client, word) == 1


def _append(ask: Ask, id_: str, number: int) -> int:
    """Add a number to the patient's identifiers; tried again until the version was the one that was read."""
    tries = 0
    while True:
        tries += 1
        read = ask("GET", f"Patient/{id_}").json
        numbers = [*read["identifier"], {"system": "urn:number", "value": str(number)}]
        tag = f'W/"{read["meta"]["versionId"]}"'
        answer = ask("PUT", f"Patient/{id_}", {**read, "identifier": numbers}, if_match=tag)
        assert answer.status in (200, 412), answer.body
        if answer.status == 200:
            return tries


def test_concurrent_updates_with_if_match_lose_none(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    id_ = client.create(patient(word))["id"]
    asks = [racer() for _ in range(WRITERS)]
    together([lambda n=n, ask=ask: _append(ask, id_, n) for n, ask in enumerate(asks)])
    found = client.get(f"Patient/{id_}").json
    numbers = [int(one["value"]) for one in found["identifier"] if one["system"] == "urn:number"]
    assert sorted(numbers) == list(range(WRITERS))
    assert found["meta"]["versionId"] == str(WRITERS + 1)
    assert versions(client, id_) == WRITERS + 1


def test_transactions_in_opposite_order_end_and_leave_nothing_half_done(
    client: Client, racer: Callable[[], Ask]
) -> None:
    one, two = f"a{mark()}", f"b{mark()}"
    for id_ in (one, two):
        client.put(f"Patient/{id_}", patient(id_, id=id_))

    def change(ask: Ask, order: tuple[str, str], number: int) -> int:
        entries = [
            entry("PUT", f"Patient/{id_}", patient(id_, id=id_, multipleBirthInteger=number)) for id_ in order
        ]
        return int(ask("POST", "", bundle("transaction", *entries)).status)

    asks = [racer() for _ in range(RACERS)]
    statuses = together(
        [
            lambda n=n, ask=ask: change(ask, (one, two) if n % 2 else (two, one), n + 1)
            for n, ask in enumerate(asks)
        ]
    )
    assert set(statuses) <= {200, *RETRYABLE}
    assert 200 in statuses
    numbers = {client.get(f"Patient/{id_}").json["multipleBirthInteger"] for id_ in (one, two)}
    assert len(numbers) == 1, "one transaction's values stand in both"
    assert versions(client, one) == versions(client, two) == statuses.count(200) + 1


def test_conditions_in_opposite_order_end_and_make_one_of_each(client: Client, racer: Callable[[], Ask]) -> None:
    one, two = mark(), mark()

    def create(ask: Ask, order: tuple[str, str]) -> int:
        entries = [entry("POST", "Patient", patient(w), ifNoneExist=f"identifier=urn:test|{w}") for w in order]
        return int(ask("POST", "", bundle("transaction", *entries)).status)

    asks = [racer() for _ in range(8)]
    statuses = together(
        [lambda n=n, ask=ask: create(ask, (one, two) if n % 2 else (two, one)) for n, ask in enumerate(asks)]
    )
    assert set(statuses) <= {200, *RETRYABLE}
    assert 200 in statuses
    assert (len(ids(client, one)), len(ids(client, two))) == (1, 1)


def test_a_delete_and_updates_at_once(client: Client, racer: Callable[[], Ask]) -> None:
    word = mark()
    id_ = client.create(patient(word))["id"]
    asks = [racer() for _ in range(8)]
    works: list[Callable[[], Any]] = [
        lambda n=n, ask=ask: ask("PUT", f"Patient/{id_}", patient(word, id=id_, multipleBirthInteger=n + 1))
        if n % 2
        else ask("DELETE", f"Patient/{id_}")
        for n, ask in enumerate(asks)
    ]
    answers = together(works)
    assert {answer.status for answer in answers} <= {200, 201, 204}
    history = client.get(f"Patient/{id_}/_history?_count=100").json["entry"]
    tags = [one["response"]["etag"] for one in history]
    assert tags == [f'W/"{n}"' for n in range(len(tags), 0, -1)]
    present = client.get(f"Patient/{id_}").status == 200
    assert present == ("resource" in history[0])
    assert ids(client, word) == ([id_] if present else [])
