"""Whether a reply is the right one, so that a server that answers fast and wrong does not look fast."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from tests.bench.exchange import Connection, Reply, Target
from tests.bench.generator import Planned
from tests.bench.workloads import Call

_ETAG = re.compile(rb'\r\netag: *W/"(\d+)"', re.IGNORECASE)


class WrongReply(Exception):
    """A reply that is not what the data says it must be."""


def check(call: Call, reply: Reply) -> int:
    """The number of resources in the reply. Raises `WrongReply`."""
    want, where = call.want, f"{call.method} {call.path or '/'}"
    if reply.status != want.status:
        raise WrongReply(f"{where}: status {reply.status} instead of {want.status}: {reply.body[:300]!r}")
    for text in want.texts:
        if text.encode() not in reply.body:
            raise WrongReply(f"{where}: {text!r} is not in the reply")
    found: Any = msgspec.json.decode(reply.body)
    if want.made:
        return _check_made(where, want.made, found.get("entry", []))
    if want.entries is None:
        return 1
    entries = found.get("entry", [])
    resources = [entry.get("resource", {}) for entry in entries]
    types = Counter(resource.get("resourceType", "") for resource in resources)
    if types != want.entries:
        raise WrongReply(f"{where}: entries {dict(types)} instead of {want.entries}")
    _check_order(where, want.order, resources)
    return len(entries)


def _check_made(where: str, made: int, entries: list[dict[str, Any]]) -> int:
    statuses = Counter(entry.get("response", {}).get("status", "")[:3] for entry in entries)
    if statuses != {"201": made}:
        raise WrongReply(f"{where}: entries' statuses {dict(statuses)} instead of {made} times 201")
    return made


def _check_order(where: str, order: str, resources: list[dict[str, Any]]) -> None:
    if order:
        times = [datetime.fromisoformat(resource[order.removeprefix("-")]) for resource in resources]
        if times != sorted(times, reverse=order.startswith("-")):
            raise WrongReply(f"{where}: the entries are not sorted by {order}")


def current_version(target: Target, connection: Connection, resource_id: str) -> int:
    """The version of a Patient now, from its ETag."""
    reply = connection.exchange(target.request("GET", f"Patient/{resource_id}"))
    tag = _ETAG.search(reply.head)
    if tag is None:
        raise WrongReply(f"GET Patient/{resource_id}: status {reply.status} and no ETag")
    return int(tag[1])


def planned(target: Target, connection: Connection, calls: Sequence[Call]) -> list[Planned]:
    """The calls as requests for the generator; updates begin with the version that each resource has now."""
    plan = []
    for call in calls:
        version = current_version(target, connection, call.updates) if call.updates else 0
        plan.append(Planned(target.request(call.method, call.path, call.body, **call.headers), version))
    return plan


def sample(target: Target, connection: Connection, calls: Sequence[Call], count: int) -> tuple[float, float]:
    """Send some of the calls, evenly spread, and check every reply: mean entries, mean size on the wire."""
    entries = size = 0
    chosen = [calls[index * len(calls) // count] for index in range(count)]
    for call, item in zip(chosen, planned(target, connection, chosen), strict=True):
        request = item.request.replace(b"@VERSION@", b"%d" % item.version).replace(b"#VERSION", b"%08d" % item.version)
        reply = connection.exchange(request)
        entries += check(call, reply)
        size += reply.size
    return entries / count, size / count
