"""The wake-up: after a commit, "tenant N changed" goes out over Valkey, to whoever watches the change feed.

It may be lost, for what happened stands in the feed and whoever listens also looks by itself now and then. So it costs
a request one small write into a socket that does not block, and nothing when Valkey is away.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from fhir_server.settings import settings

_CHANNEL = "salam:changed"
_TIMEOUT_S, _PAUSE_S, _APART_S = 1.0, 1.0, 0.25
_MOST_MISSED = 1000
_log = logging.getLogger(__name__)


class Sender:
    """Sends wake-ups over a connection of its own, which is made (again) in the background, once a second at most."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._send: Callable[[bytes], int] | None = None
        self._next_try = 0.0
        self._lock = threading.Lock()
        # What changed while there was no connection; told when there is one.
        self._missed: set[int] = set()

    def changed(self, tenant_id: int) -> None:
        """Tell that a transaction of the tenant that wrote something was committed. Never raises, never waits."""
        send = self._send
        if send is None:
            self._miss(tenant_id)
            return
        message = _message(tenant_id)
        try:
            if send(message) == len(message):
                return
        except BlockingIOError:
            # Valkey is there but does not read; it has more wake-ups waiting than anybody needs.
            return
        except (OSError, ValueError):
            pass
        self._send = None
        self._miss(tenant_id)

    def _miss(self, tenant_id: int) -> None:
        if len(self._missed) < _MOST_MISSED:
            self._missed.add(tenant_id)
        now = time.monotonic()
        if now >= self._next_try and self._lock.acquire(blocking=False):
            self._next_try = now + _PAUSE_S
            threading.Thread(target=self._connect, name="wake", daemon=True).start()

    def _connect(self) -> None:
        try:
            if self._connection is not None:
                self._connection.disconnect()
            pool = redis.ConnectionPool.from_url(
                settings.broker_url(), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None
            )
            connection: Any = pool.make_connection()
            self._connection = connection
            connection.connect()
            connection.send_command("CLIENT", "REPLY", "OFF")
            socket = connection._sock
            socket.setblocking(False)
            missed, self._missed = self._missed, set()
            self._send = socket.send
            for tenant_id in missed:
                self.changed(tenant_id)
        except (redis.RedisError, OSError):
            self._send = None
        finally:
            self._lock.release()


def _message(tenant_id: int) -> bytes:
    text = b"%d" % tenant_id
    return b"*3\r\n$7\r\nPUBLISH\r\n$13\r\nsalam:changed\r\n$%d\r\n%b\r\n" % (len(text), text)


_sender = Sender()
changed = _sender.changed


def listen(heard: Callable[[int | None], None], stopped: threading.Event) -> None:
    """Call `heard` with the id of each tenant that changed, until `stopped`; with None when wake-ups may have been
    missed. Blocks: it is a thread's work. `heard` must be quick."""
    while not stopped.is_set():
        try:
            with redis.Redis.from_url(settings.broker_url(), socket_connect_timeout=_TIMEOUT_S) as valkey:
                channel = valkey.pubsub(ignore_subscribe_messages=True)
                channel.subscribe(_CHANNEL)
                heard(None)
                while not stopped.is_set():
                    message = channel.get_message(timeout=_TIMEOUT_S)
                    if message is not None:
                        with contextlib.suppress(ValueError):
                            heard(int(message["data"]))
        except (redis.RedisError, OSError):
            heard(None)
            stopped.wait(_PAUSE_S)


class Waker:
    """A thread that works on the tenants that changed, one after the other, each once however often it is told."""

    def __init__(self, work: Callable[[int], None]) -> None:
        self._work = work
        self._waiting: dict[int, None] = {}
        self._told = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to listen and to work, in threads that end with the process."""
        for target in (self._listen, self._run):
            threading.Thread(target=target, name="follow", daemon=True).start()

    def stop(self) -> None:
        """End both threads within about a second."""
        self._stopped.set()
        self._told.set()

    def _listen(self) -> None:
        listen(self._heard, self._stopped)

    def _heard(self, tenant_id: int | None) -> None:
        # Who missed wake-ups is found by the sweep.
        if tenant_id is not None:
            self._waiting[tenant_id] = None
            self._told.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._told.wait()
            self._told.clear()
            while self._waiting and not self._stopped.is_set():
                tenant_id = next(iter(self._waiting))
                del self._waiting[tenant_id]
                try:
                    self._work(tenant_id)
                except Exception as error:
                    _log.error("a tenant's changes could not be followed: %s", type(error).__name__)
            # The first wake-up is answered at once; many that follow are one.
            self._stopped.wait(_APART_S)
