"""One connection per thread, statements pipelined in as few round trips as the work allows.

Every transaction begins with the tenant set (`SET LOCAL`, which also reaches the workers of a Citus cluster) and with
`app_enter`, which checks tenant, token and definitions as they are *now*: nothing of that is remembered past a request.
libpq's pipeline mode sends BEGIN, these checks, the statements and, where `final`, COMMIT together
(docs/decisions/0003). The socket does not block inside libpq: waiting is done in poll(), where other threads of the
process can run.
https://www.postgresql.org/docs/18/libpq-pipeline-mode.html
"""

import logging
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from psycopg import OperationalError, pq

from fhir_server.storage import errors, wire

Row = tuple[bytes | None, ...]
Statement = tuple[str, Sequence[wire.Param]]

_log = logging.getLogger(__name__)
_MAX_PREPARED = 2000
_ENTER = "SELECT app_enter($1, $2, $3, $4)"
_SHARE_DEFINITIONS = "SELECT pg_advisory_xact_lock_shared(7, $1)"
# Statements of known shape keep one plan, some ask for a plan for their values (`custom`). Every path is an index.
_SET_UP = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0;"
    " SET jit = off; SET timezone = 'UTC';"
    " SET statement_timeout = {timeout_ms}; SET idle_in_transaction_session_timeout = {timeout_ms}"
)
_CUSTOM = "SET LOCAL plan_cache_mode = force_custom_plan"
_GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"
_NONE: tuple[list[bytes | None], list[int]] = ([], [])
_OK = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class Session:
    """A tenant's transaction on this thread's connection. Not to be shared between threads."""

    def __init__(self, conninfo: str, *, timeout_ms: int = 30_000) -> None:
        self._conninfo = conninfo.encode()
        self._set_up = _SET_UP.format(timeout_ms=int(timeout_ms)).encode()
        self._pg: pq.abc.PGconn | None = None
        self._poll = select.poll()
        self._prepared: dict[str, bytes] = {}
        self._enter: tuple[int, bytes | None, int, int] | None = None
        self._writing = False
        self._verified = False
        self._open = False
        self._custom = False
        self._held = 0
        self._waiting: list[Callable[[], None]] = []
        self.seconds = 0.0

    # -- the unit of work ------------------------------------------------------------------------------------------

    def enter(
        self,
        tenant_id: int,
        token_hash: bytes | None,
        registry_version: int,
        *,
        stamp: int = 0,
        writing: bool = False,
    ) -> None:
        """Say on whose behalf the next statements run. The transaction opens with the first of them.

        `stamp`: the state of the token's rights that the caller knows; another one raises `RightsChanged`.
        `writing`: take the tenant's definition lock in shared mode first. Who changes the definitions and then takes
        it exclusively knows that every later writer indexes by the new ones.
        """
        if self._open:
            self.rollback()
        self._enter = (tenant_id, token_hash, registry_version, stamp)
        self._writing = writing
        self._verified = False
        self._held = 0
        self._waiting = []
        self.seconds = 0.0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the transaction open across several interactions: inside, `final` does not commit."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @property
    def open(self) -> bool:
        """Whether a transaction is open, whose work is not committed."""
        return self._open

    @property
    def held(self) -> bool:
        """Whether several interactions share the transaction."""
        return self._held > 0

    def run(
        self, statements: Sequence[Statement], *, final: bool = False, custom: bool = False, kept: bool = True
    ) -> list[list[Row]]:
        """Run statements in one round trip; one list of rows each, values as PostgreSQL's text (bytes).

        `final`: nothing follows in this interaction, so commit along, unless the transaction is held.
        `custom`: plan each execution for its values; without `kept`: plan each execution, but as if the values were not
        known. Raises what `storage.errors` maps.
        """
        before, after = self._frame(final and not self._held, custom)
        rows = self._send([*before, *statements, *after], kept)
        self._open = not after
        self._verified = True
        if after:
            self._committed()
        return rows[len(before) : len(before) + len(statements)]

    def plain(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements outside any tenant, in a transaction of their own: directory of tenants, sequences, health."""
        self.rollback()
        return self._send(statements)

    def verify(self) -> None:
        """Check tenant, token and definitions if no statement has done so since `enter`."""
        if not self._verified:
            self.run([], final=True)

    def commit(self) -> None:
        """Make the work durable. Nothing happens when no statement ran since `enter` or the last commit."""
        if self._open:
            self._send([("COMMIT", ())])
            self._open = False
        self._committed()

    def when_committed(self, act: Callable[[], None]) -> None:
        """Call `act` once the open transaction (or the one that begins next) is committed; never when it is undone."""
        self._waiting.append(act)

    def _committed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for act in waiting:
            act()

    def rollback(self) -> None:
        """Undo what is not committed."""
        self._waiting = []
        if not self._open or self._pg is None:
            self._open = False
            return
        self._open = False
        try:
            self._send([("ROLLBACK", ())])
        except errors.ConnectionLost:
            self.close()

    def close(self) -> None:
        """Give the connection up; the next statement makes a new one."""
        if self._pg is not None:
            self._pg.finish()
        self._pg = None
        self._open = False
        self._waiting = []

    # -- the wire --------------------------------------------------------------------------------------------------

    def _frame(self, last: bool, custom: bool) -> tuple[list[Statement], list[Statement]]:
        before: list[Statement] = []
        if not self._open:
            if self._enter is None:
                raise RuntimeError("no tenant was entered")
            tenant_id, token_hash, version, stamp = self._enter
            digest = None if token_hash is None else wire.Binary(token_hash)
            before = [
                ("BEGIN", ()),
                (f"SET LOCAL app.tenant = '{int(tenant_id)}'", ()),
            ]
            if self._writing:
                before.append((_SHARE_DEFINITIONS, (tenant_id,)))
            before.append((_ENTER, (tenant_id, digest, version, stamp)))
            self._custom = False
        if custom is not self._custom:
            before.append((_CUSTOM if custom else _GENERIC, ()))
            self._custom = custom
        return before, [("COMMIT", ())] if last else []

    def _connection(self) -> pq.abc.PGconn:
        if self._pg is not None and self._pg.status == pq.ConnStatus.OK:
            return self._pg
        self.close()
        self._prepared.clear()
        pg = pq.PGconn.connect(self._conninfo)
        if pg.status != pq.ConnStatus.OK:
            text = pg.get_error_message()
            pg.finish()
            raise errors.ConnectionLost(text)
        pg.exec_(self._set_up)
        pg.enter_pipeline_mode()
        pg.nonblocking = 1
        self._poll = select.poll()
        self._poll.register(pg.socket, select.POLLIN)
        self._pg = pg
        return pg

    def _send(self, statements: Sequence[Statement], kept: bool = True) -> list[list[Row]]:
        started = time.perf_counter()
        pg = self._connection()
        fresh: list[str] = []
        try:
            expected = self._post(pg, statements, fresh, kept)
            rows, failure = self._collect(pg, expected)
        except OperationalError as error:
            self.close()
            raise errors.ConnectionLost(str(error)) from None
        self.seconds += time.perf_counter() - started
        if failure is not None:
            self._recover(pg, fresh)
            raise errors.from_result(failure)
        return rows

    def _post(
        self, pg: pq.abc.PGconn, statements: Sequence[Statement], fresh: list[str], kept: bool = True
    ) -> list[bool]:
        """Send the statements; for each result to come, whether it is a statement's (or that of preparing one)."""
        expected: list[bool] = []
        for sql, params in statements:
            values, formats = wire.encode(params) if params else _NONE
            name = self._prepared.get(sql)
            if name is None and kept and values and len(self._prepared) < _MAX_PREPARED:
                name = self._prepared[sql] = b"s%d" % len(self._prepared)
                pg.send_prepare(name, sql.encode())
                fresh.append(sql)
                expected.append(False)
            if name is None:
                pg.send_query_params(sql.encode(), values, None, formats)
            else:
                pg.send_query_prepared(name, values, formats)
            expected.append(True)
        pg.pipeline_sync()
        self._flush(pg)
        return expected

    def _flush(self, pg: pq.abc.PGconn) -> None:
        """Send all that is buffered, taking in what the server says meanwhile, so that neither side waits forever."""
        while pg.flush():
            self._poll.modify(pg.socket, select.POLLIN | select.POLLOUT)
            if self._poll.poll()[0][1] & select.POLLIN:
                pg.consume_input()
            self._poll.modify(pg.socket, select.POLLIN)

    def _collect(self, pg: pq.abc.PGconn, expected: list[bool]) -> tuple[list[list[Row]], pq.abc.PGresult | None]:
        rows: list[list[Row]] = []
        failure: pq.abc.PGresult | None = None
        index = 0
        while True:
            while pg.is_busy():
                self._poll.poll()
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                if pg.status != pq.ConnStatus.OK:
                    text = pg.get_error_message()
                    self.close()
                    raise errors.ConnectionLost(text)
                continue
            status = result.status
            if status == pq.ExecStatus.PIPELINE_SYNC:
                return rows, failure
            if status in _OK:
                if expected[index]:
                    width = range(result.nfields)
                    rows.append([tuple([result.get_value(r, c) for c in width]) for r in range(result.ntuples)])
            elif failure is None and status == pq.ExecStatus.FATAL_ERROR:
                failure = result
            index += 1

    def _recover(self, pg: pq.abc.PGconn, fresh: list[str]) -> None:
        """After an error: end the failed transaction, and forget statements whose preparing may not have happened."""
        self._open = False
        self._waiting = []
        if pg.status != pq.ConnStatus.OK:
            self.close()
            return
        if fresh:
            # Their names may or may not exist on the server; a new connection is the one certain state.
            self.close()
            return
        if pg.transaction_status != pq.TransactionStatus.IDLE:
            try:
                self._collect(pg, self._post(pg, [("ROLLBACK", ())], fresh))
            except OperationalError:
                self.close()
