"""A write storm that notes what was acknowledged, and the check of all of it afterwards."""

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.wire import LOST, Http
from tests.rest.bodies import bundle, entry, mark, patient


@dataclass(slots=True)
class Notes:
    """What one writer saw. `created`: id -> ETag of an acknowledged create; `unsure`: ids of creates without an answer;
    `pairs`: ids that one transaction wrote, and whether it was acknowledged; `count`: the acknowledged value of the
    writer's counter, with `more` when the next value was sent without an answer."""

    created: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    pairs: list[tuple[str, str, bool]] = field(default_factory=list)
    counter: str = ""
    count: int = 0
    more: bool = False
    refused: list[int] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)


class Storm:
    """Writers that write until told to stop, through every failure."""

    def __init__(self, base: str, token: str, writers: int = 4) -> None:
        self.base, self.token, self.tag = base, token, mark()
        self.notes = [Notes(counter=f"c{mark()}") for _ in range(writers)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(note,), daemon=True) for note in self.notes]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; every request that is under way gets its answer first."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads)

    def acknowledged(self) -> int:
        """How many writes were acknowledged until now."""
        return sum(len(note.finished) for note in self.notes)

    def wait_for(self, number: int, seconds: float) -> None:
        """Until so many more writes were acknowledged, and every writer had one of each kind."""
        wanted, deadline = self.acknowledged() + number, time.monotonic() + seconds
        while self.acknowledged() < wanted or not all(note.created and note.pairs and note.count for note in self.notes):
            assert time.monotonic() < deadline, f"{self.acknowledged()} of {wanted} writes were acknowledged"
            time.sleep(0.02)

    def _patient(self, id_: str, **more: Any) -> dict[str, Any]:
        return patient(id_, id=id_, meta={"tag": [{"code": self.tag}]}, **more)

    def _write(self, note: Notes) -> None:
        kind = 0
        with closing(Http(self.base, self.token)) as http:
            while not self._stop.is_set():
                kind = (kind + 1) % 3
                try:
                    (self._create, self._count, self._pair)[kind](http, note)
                except LOST:
                    time.sleep(0.05)

    def _create(self, http: Http, note: Notes) -> None:
        id_ = f"s{mark()}"
        note.unsure.add(id_)
        heard = http.request("PUT", f"Patient/{id_}", self._patient(id_))
        if heard.status == 201:
            note.unsure.discard(id_)
            note.created[id_] = heard.etag
            note.finished.append(time.monotonic())
        else:
            note.refused.append(heard.status)

    def _count(self, http: Http, note: Notes) -> None:
        # Until the next value is acknowledged it is sent again; sending the same value twice makes no second version.
        note.more = True
        body = self._patient(note.counter, multipleBirthInteger=note.count + 1)
        heard = http.request("PUT", f"Patient/{note.counter}", body)
        if heard.status in (200, 201):
            note.count, note.more = note.count + 1, False
            note.finished.append(time.monotonic())
        else:
            note.refused.append(heard.status)

    def _pair(self, http: Http, note: Notes) -> None:
        one, two = f"p{mark()}", f"p{mark()}"
        note.pairs.append((one, two, False))
        entries = [entry("PUT", f"Patient/{id_}", self._patient(id_)) for id_ in (one, two)]
        heard = http.request("POST", "", bundle("transaction", *entries))
        if heard.status == 200:
            note.pairs[-1] = (one, two, True)
            note.finished.append(time.monotonic())
        else:
            note.refused.append(heard.status)


def check(storm: Storm) -> None:
    """Everything acknowledged is there, with its version; everything else is whole or absent; search agrees."""
    with closing(Http(storm.base, storm.token)) as http:
        _check(storm, http)


def _check(storm: Storm, http: Http) -> None:
    present: set[str] = set()
    for note in storm.notes:
        assert set(note.refused) <= {409, 429, 503}, note.refused
        for id_, tag in note.created.items():
            heard = http.request("GET", f"Patient/{id_}")
            lost = f"the acknowledged {id_} is lost: {heard.status} {heard.etag} instead of {tag}"
            assert (heard.status, heard.etag) == (200, tag), lost
            assert heard.json["identifier"][0]["value"] == id_
            present.add(id_)
        present |= {id_ for id_ in note.unsure if _whole(http, id_)}
        for one, two, acknowledged in note.pairs:
            there = [_whole(http, id_) for id_ in (one, two)]
            assert there in ([True, True], [False, False]), "half a transaction"
            assert there[0] or not acknowledged, "an acknowledged transaction is lost"
            present |= {one, two} if there[0] else set()
        present |= _check_counter(http, note)
    assert _found(http, storm.tag) == present, "search and read disagree"


def _whole(http: Http, id_: str) -> bool:
    heard = http.request("GET", f"Patient/{id_}")
    assert heard.status in (200, 404), heard.status
    if heard.status == 200:
        assert heard.json["identifier"][0]["value"] == id_
        history = http.request("GET", f"Patient/{id_}/_history").json["entry"]
        assert [one["resource"] for one in history] == [heard.json]
    return heard.status == 200


def _check_counter(http: Http, note: Notes) -> set[str]:
    heard = http.request("GET", f"Patient/{note.counter}")
    if heard.status == 404:
        assert note.count == 0
        return set()
    value = heard.json["multipleBirthInteger"]
    assert value in ((note.count, note.count + 1) if note.more else (note.count,))
    assert heard.etag == f'W/"{value}"', "every value is one version"
    for version in range(max(1, value - 20), value + 1):
        old = http.request("GET", f"Patient/{note.counter}/_history/{version}")
        assert old.json["multipleBirthInteger"] == version
    return {note.counter}


def _found(http: Http, tag: str) -> set[str]:
    found: set[str] = set()
    url: str | None = f"Patient?_tag={tag}&_count=500"
    while url:
        page = http.request("GET", url).json
        found |= {one["resource"]["id"] for one in page.get("entry", [])}
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        url = following.removeprefix(f"{http.base}/") if following else None
    return found
