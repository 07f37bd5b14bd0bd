"""Page 1 beside page 1,000: walk the `next` links of a big search, then ask for the first and the last page again."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from tests.bench.checking import WrongReply
from tests.bench.data import Site
from tests.bench.exchange import Connection, Target
from tests.bench.workloads import Call, Want, Workload

PAGES = 1_000
_SORTS = ("date", "-_lastUpdated")


@dataclass(frozen=True, slots=True)
class Walk:
    """A search walked to its end or to page 1,000."""

    sort: str
    pages: int
    count: int
    first: str
    last: str


def page_size(site: Site) -> int:
    """20, or as few as give 1,000 pages of the Observations that there are."""
    return max(1, min(20, (site.observations - 1) // PAGES))


def walk(target: Target, connection: Connection, sort: str, count: int, pages: int = PAGES) -> Walk:
    """Follow `next`. Raises `WrongReply` where a resource comes twice or a page is short."""
    url = first = f"Observation?_sort={sort}&_count={count}"
    seen: set[str] = set()
    for number in range(1, pages + 1):
        reply = connection.exchange(target.request("GET", url))
        if reply.status != 200:
            raise WrongReply(f"page {number} of {first}: status {reply.status}: {reply.body[:300]!r}")
        bundle: Any = msgspec.json.decode(reply.body)
        ids = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        if not seen.isdisjoint(ids):
            raise WrongReply(f"page {number} of {first}: a resource of an earlier page comes again")
        seen.update(ids)
        following = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
        if number == pages or following is None:
            break
        url = following
    if len(seen) != number * count:
        raise WrongReply(f"{number} pages of {first} hold {len(seen)} resources instead of {number * count}")
    return Walk(sort, number, count, first, url)


def _again(call: Call, site: Site) -> Iterator[Call]:
    yield call


def workloads(target: Target, connection: Connection, site: Site) -> Iterator[Workload]:
    """Two workloads for each sort: the first page, and the last that was walked to."""
    for sort in _SORTS:
        walked = walk(target, connection, sort, page_size(site))
        for number, url in ((1, walked.first), (walked.pages, walked.last)):
            call = Call("GET", url, Want(entries={"Observation": walked.count}))
            title = f"page {number:,} ({walked.count} a page), _sort={sort}"
            yield Workload(f"page-{'1' if number == 1 else 'last'}:{sort}", title, partial(_again, call))
