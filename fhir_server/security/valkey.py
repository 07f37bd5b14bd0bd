"""Valkey for what may be lost: counters. Every call may fail, quickly; the caller has another way."""

import threading
import time
from collections.abc import Sequence

import redis

from fhir_server.settings import settings

_TIMEOUT_S = 0.1
_PAUSE_S = 5.0
_lock = threading.Lock()
_clients: dict[str, redis.Redis] = {}
_away_until = 0.0


def count(keys: Sequence[tuple[str, int, int]]) -> list[int] | None:
    """Add to counters, each (key, how much, seconds to live), and give what they are now; None when Valkey is away.

    After a failure nobody asks for five seconds, so that a dead Valkey costs nothing.
    """
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        with _client().pipeline(transaction=False) as batch:
            for key, amount, seconds in keys:
                batch.incrby(key, amount)
                batch.expire(key, seconds)
            return [int(value) for value in batch.execute()[::2]]
    except (redis.RedisError, OSError):
        _away_until = time.monotonic() + _PAUSE_S
        return None


def _client() -> redis.Redis:
    url = settings.broker_url()
    client = _clients.get(url)
    if client is None:
        with _lock:
            client = _clients[url] = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None
            )
    return client
