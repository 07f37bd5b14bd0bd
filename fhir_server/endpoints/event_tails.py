"""The open streams of the hub: for each tenant that has any, one task that looks at the change feed for all of them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from fhir_server.core.context import Principal
from fhir_server.core.errors import NotFound, Throttled, Unauthenticated
from fhir_server.endpoints import event_access
from fhir_server.endpoints.event_access import Admitted, Asked
from fhir_server.events import stream as texts
from fhir_server.events import tickets, wake
from fhir_server.events.stream import Stream
from fhir_server.events.watch import Told, Watch
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import World, refresh, world
from fhir_server.rest import dispatch
from fhir_server.security.authenticate import forget, principal_of
from fhir_server.storage import event_tickets
from fhir_server.storage.errors import ConnectionLost, DefinitionsChanged
from fhir_server.storage.session import Session

T = TypeVar("T")

MOST_OF_TOKEN, MOST_OF_TENANT = 10, 2_000
_THREADS = 4
# Without a wake-up: after so long somebody looks anyway. With many: so much apart, for all in between are one look.
_LOOK_S, _APART_S = 1.0, 0.02
_RECHECK_S, _KEEP_ALIVE_S = 2.5, 15.0
_FAILURES = 3
_log = logging.getLogger(__name__)


class Tails:
    """All open streams of the process; used on its event loop."""

    def __init__(self) -> None:
        self._tails: dict[int, Tail] = {}
        self._of: dict[Stream, Tail] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="events")
        self._listening = False

    def count(self) -> int:
        """How many streams are open."""
        return len(self._of)

    async def open(self, slug: str, asked: Asked) -> Stream:
        """A new stream. Raises `FhirError` when the request may not have one."""
        self._listen()
        admitted = await self.in_thread(lambda: event_access.admit(slug, asked, _opened))
        tenant = admitted.ctx.tenant
        tail = self._tails.get(tenant.id)
        if tail is None:
            tail = self._tails[tenant.id] = Tail(self, tenant.id, slug)
        stream = Stream(admitted.ctx.principal, admitted.topics, admitted.after, admitted.ticket, admitted.reset)
        tail.add(stream)
        self._of[stream] = tail
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream that has ended."""
        stream.finish()
        tail = self._of.pop(stream, None)
        if tail is not None:
            tail.drop(stream)

    def forget(self, tenant_id: int) -> None:
        """A tenant has no streams any more."""
        self._tails.pop(tenant_id, None)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what asks the database."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        loop = asyncio.get_running_loop()

        def heard(tenant_id: int | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._heard, tenant_id)

        threading.Thread(target=wake.listen, args=(heard, threading.Event()), name="wake", daemon=True).start()

    def _heard(self, tenant_id: int | None) -> None:
        for tail in list(self._tails.values()) if tenant_id is None else [self._tails.get(tenant_id)]:
            if tail is not None:
                tail.wake()


def _opened(admitted: Admitted) -> Admitted:
    event_access.log_opened(admitted)
    return admitted


class Tail:
    """The streams of one tenant, and the task that feeds them."""

    def __init__(self, tails: Tails, tenant_id: int, slug: str) -> None:
        self._tails = tails
        self._tenant_id = tenant_id
        self._slug = slug
        self._watch = Watch()
        self._joined: tuple[Stream, ...] = ()
        self._joining: list[Stream] = []
        self._woken = asyncio.Event()
        self._failures = 0
        self._checked = self._kept = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: Stream) -> None:
        """Let a stream join. Raises `Throttled` when the token or the tenant has too many."""
        everybody = [*self._joined, *self._joining]
        of_token = sum(each.principal.token_hash == stream.principal.token_hash for each in everybody)
        if len(everybody) >= MOST_OF_TENANT or of_token >= MOST_OF_TOKEN:
            whose = "This token" if of_token >= MOST_OF_TOKEN else "This tenant"
            text = f"{whose} has too many open streams. Put several topics into one."
            raise Throttled(text, headers={"Retry-After": "10"})
        self._joining.append(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        self.wake()

    def drop(self, stream: Stream) -> None:
        """Let a stream go."""
        if stream in self._joining:
            self._joining.remove(stream)
        elif stream in self._joined:
            self._joined = tuple([each for each in self._joined if each is not stream])
        self.wake()

    def wake(self) -> None:
        """There may be something new."""
        self._woken.set()

    async def _run(self) -> None:
        while self._joined or self._joining:
            started = time.monotonic()
            self._woken.clear()
            await self._step()
            busy = self._watch.more or bool(self._joining)
            if not busy:
                await _wait(self._woken, _LOOK_S)
            await asyncio.sleep(max(0.0, _APART_S - (time.monotonic() - started)))
        self._tails.forget(self._tenant_id)

    async def _step(self) -> None:
        """One look, and now and then what else has to be done."""
        try:
            now = time.monotonic()
            if now - self._checked >= _RECHECK_S:
                self._checked = now
                await self._recheck()
            await self._look()
            if now - self._kept >= _KEEP_ALIVE_S and self._watch.position is not None:
                self._kept = now
                for stream in self._joined:
                    stream.put(texts.keep_alive(self._watch.position))
            self._failures = 0
        except NotFound:
            # The tenant is suspended or gone.
            self._finish([*self._joined, *self._joining], "gone")
        except ConnectionLost:
            await asyncio.sleep(_LOOK_S)
        except Exception as error:
            _log.error("a tenant's events could not be told: %s", type(error).__name__, exc_info=error)
            await self._failed()

    async def _look(self) -> None:
        streams, ready = self._joined, [stream for stream in self._joining if stream.taken]
        told, joined = await self._tails.in_thread(lambda: self._looked(streams, ready))
        waiting: dict[Stream, list[bytes]] = {}
        for stream, data in told:
            waiting.setdefault(stream, []).append(data)
        for stream, parts in waiting.items():
            stream.put(b"".join(parts))
        staying = [stream for stream in joined if stream in self._joining]
        if staying:
            self._joining = [stream for stream in self._joining if stream not in staying]
            self._joined = (*self._joined, *staying)

    def _looked(self, streams: tuple[Stream, ...], ready: list[Stream]) -> tuple[Told, list[Stream]]:
        return self._in_tenant(lambda db, place: self._watch.look(server_context(db, place), streams, ready))

    def _in_tenant(self, work: Callable[[Session, World], T]) -> T:
        """Do something in the tenant under its definitions of now. Runs in a thread."""
        db = dispatch.session()
        place = world(db, self._slug)
        while True:
            try:
                return work(db, place)
            except DefinitionsChanged:
                db.rollback()
                place = refresh(db, self._slug)
            except BaseException:
                db.rollback()
                raise

    async def _recheck(self) -> None:
        """End the streams whose tokens are no longer valid, and take note of changed rights."""
        streams = [*self._joined, *self._joining]
        callers = await self._tails.in_thread(lambda: self._in_tenant(lambda db, place: _callers(db, place, streams)))
        for stream in streams:
            caller = callers.get(stream.principal.token_hash or b"")
            if caller is None:
                stream.finish(texts.end("unauthorized"))
            else:
                stream.principal = caller

    async def _failed(self) -> None:
        """What cannot be told must not keep the rest from being told: after some attempts, begin anew."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._failures = 0
            self._watch = Watch()
            for stream in (everybody := [*self._joining, *self._joined]):
                stream.after, stream.reset = None, True
            self._joining, self._joined = everybody, ()
        await asyncio.sleep(_LOOK_S)

    def _finish(self, streams: Iterable[Stream], reason: str) -> None:
        for stream in streams:
            stream.finish(texts.end(reason))
        self._joined, self._joining = (), []


def _callers(db: Session, place: World, streams: Iterable[Stream]) -> dict[bytes, Principal]:
    """Of the tokens of streams, those that are valid, with what they allow now; their tickets live on."""
    tenant_id = place.tenant.id
    known = {stream.principal.token_hash or b"": stream.principal for stream in streams}
    db.enter(tenant_id, None, place.version)
    stamps = event_tickets.valid(db, tenant_id, known)
    digests = {stream.ticket for stream in streams if stream.ticket and stream.principal.token_hash in stamps}
    if digests:
        event_tickets.keep(db, tenant_id, digests, tickets.SECONDS)
    found = {}
    for token, stamp in stamps.items():
        if stamp == known[token].stamp:
            found[token] = known[token]
            continue
        forget(tenant_id, token)
        with suppress(Unauthenticated):
            found[token] = principal_of(db, tenant_id, place.version, token)
    return found


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
