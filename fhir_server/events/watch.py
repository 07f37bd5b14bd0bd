"""The end of a tenant's feed, as the open streams of one process watch it.

Each look asks once for all streams what is new. It does not wait for long transactions: what is committed is told, even
where something may still appear before it in the feed. Until it is settled, its events carry the id of the last settled
place; so whoever comes back with that id may be told a change twice, and never misses one.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from fhir_server.core.context import Context
from fhir_server.events.audience import Event, events_of, shown
from fhir_server.events.feed import in_version_order, settled
from fhir_server.events.stream import Stream, hello, message, reset
from fhir_server.events.topics import Topic
from fhir_server.storage import changes
from fhir_server.storage.changes import Change, Position

Told = list[tuple[Stream, bytes]]

_PAGE = 500
_MOST_AHEAD = 5_000


class Watch:
    """What has been told of a feed. One call at a time."""

    def __init__(self) -> None:
        self.position: Position | None = None
        # Whether there is more to see at once.
        self.more = False
        self._ahead: set[Position] = set()
        self._streams: Sequence[Stream] = ()
        self._index: dict[int, list[tuple[Stream, Topic]]] = {}

    def look(self, ctx: Context, streams: Sequence[Stream], joining: Collection[Stream]) -> tuple[Told, list[Stream]]:
        """What is to be sent to whom, in order, and those of the joining streams that have caught up.

        `ctx`: the server's own, entered. `streams` is the same object as before as long as nobody came or went.
        """
        before = self.position, self._ahead
        try:
            return self._looked(ctx, streams, joining)
        except BaseException:
            # Nothing was told.
            self.position, self._ahead = before
            raise

    def _looked(
        self, ctx: Context, streams: Sequence[Stream], joining: Collection[Stream]
    ) -> tuple[Told, list[Stream]]:
        fresh = self._fresh(ctx)
        told: Told = []
        if streams is not self._streams:
            self._streams, self._index = streams, _indexed(streams)
        if fresh and self._index:
            told += _Telling(ctx, events_of(ctx, fresh), self._id_of).to(self._found)
        joined = []
        assert self.position is not None
        for stream in joining:
            if stream.after is None:
                told.append((stream, (reset if stream.reset else hello)(self.position)))
                joined.append(stream)
        behind = [stream for stream in joining if stream.after is not None]
        if behind:
            told += self._replayed(ctx, behind, joined)
        return told, joined

    def _fresh(self, ctx: Context) -> list[Change]:
        """What was committed since the last look."""
        if self.position is None:
            self.position, _ = changes.end(ctx.db, ctx.tenant.id)
        limit = min(_PAGE + len(self._ahead), _MOST_AHEAD)
        seen, end = changes.visible(ctx.db, ctx.tenant.id, self.position, limit)
        fresh = [change for change in seen if change.position not in self._ahead]
        self.more = bool(fresh) and len(seen) == limit
        self.position = settled(seen, end, limit) or self.position
        self._ahead = {change.position for change in seen if change.position > self.position}
        return in_version_order(fresh)

    def _id_of(self, change: Change) -> Position:
        assert self.position is not None
        return min(change.position, self.position)

    def _replayed(self, ctx: Context, behind: Sequence[Stream], joined: list[Stream]) -> Told:
        """The next page of what streams missed that come back; those that have it all then join."""
        begin = min(stream.after for stream in behind if stream.after is not None)
        limit = _PAGE + len(self._ahead)
        page, end = changes.visible(ctx.db, ctx.tenant.id, begin, limit)
        # What is newer than the last look is told with the next one.
        known = [change for change in page if self._is_told(change)]
        told = _Telling(ctx, events_of(ctx, known), self._id_of).to(lambda event: _missed(event, behind))
        place = settled(page, end, limit)
        for stream in behind:
            assert stream.after is not None
            if len(page) < limit:
                joined.append(stream)
            elif place is not None:
                stream.after = max(stream.after, place)
        return told

    def _is_told(self, change: Change) -> bool:
        assert self.position is not None
        return change.position <= self.position or change.position in self._ahead

    def _found(self, event: Event) -> Iterable[tuple[Stream, list[Topic]]]:
        """The streams that an event concerns, with its topics there."""
        found: dict[Stream, set[str]] = {}
        for key in event.keys & self._index.keys():
            for stream, topic in self._index[key]:
                found.setdefault(stream, set()).add(topic.text)
        for stream, names in found.items():
            yield stream, [topic for topic in stream.topics if topic.text in names]


def _indexed(streams: Iterable[Stream]) -> dict[int, list[tuple[Stream, Topic]]]:
    index: dict[int, list[tuple[Stream, Topic]]] = {}
    for stream in streams:
        for topic in stream.topics:
            for key in topic.keys:
                index.setdefault(key, []).append((stream, topic))
    return index


def _missed(event: Event, behind: Iterable[Stream]) -> Iterable[tuple[Stream, list[Topic]]]:
    place = event.change.position
    for stream in behind:
        if stream.after is not None and place > stream.after and (topics := event.about(stream.topics)):
            yield stream, topics


class _Telling:
    """Some events on their way to many streams: each caller's rights are asked once, each text is made once."""

    def __init__(self, ctx: Context, events: Sequence[Event], id_of: Callable[[Change], Position]) -> None:
        self._ctx = ctx
        self._events = events
        self._id_of = id_of

    def to(self, concerned: Callable[[Event], Iterable[tuple[Stream, list[Topic]]]]) -> Told:
        """The events for the streams that they concern and whose callers may know of them."""
        pairs = [(event, list(concerned(event))) for event in self._events]
        asked: dict[int, dict[Event, None]] = {}
        callers = {}
        for event, streams in pairs:
            for stream, _ in streams:
                callers[id(stream.principal)] = stream.principal
                asked.setdefault(id(stream.principal), {})[event] = None
        seen = {
            who: frozenset(shown(replace(self._ctx, principal=principal), list(asked[who])))
            for who, principal in callers.items()
        }
        told: Told = []
        for event, streams in pairs:
            texts: dict[tuple[str, ...], bytes] = {}
            for stream, topics in streams:
                if event in seen[id(stream.principal)]:
                    names = tuple([topic.text for topic in topics])
                    if names not in texts:
                        texts[names] = message("change", self._id_of(event.change), event.data(topics))
                    told.append((stream, texts[names]))
        return told
