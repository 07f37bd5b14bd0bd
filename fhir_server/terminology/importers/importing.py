"""An import from its files to an active code system, in batches, so that an interrupted one goes on where it was.

Reading and numbering give the same for the same files; what is stored already is told by the rows themselves. Nothing
of a system is visible before it is active.
"""

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from fhir_server.core.errors import Conflict, FhirError, Unavailable, Unprocessable
from fhir_server.storage import concept_imports as rows
from fhir_server.storage import terminology_jobs
from fhir_server.storage.concepts import At
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.terminology_jobs import Job
from fhir_server.terminology.importers.formats import FORMATS
from fhir_server.terminology.importers.gathering import Gathered, gather
from fhir_server.terminology.importers.numbering import Numbering, numbering
from fhir_server.terminology.importers.postings import Posting, postings
from fhir_server.terminology.importers.records import Content, Options, Record, Report
from fhir_server.terminology.importers.source import Source

_log = logging.getLogger(__name__)
_BATCH, _BATCH_BYTES = 5_000, 4 * 2**20
# phase, how much of it is done, how much there is (0: not known).
Tell = Callable[[str, int, int], None]


class Cancelled(FhirError):
    """The import was cancelled by somebody."""


class _Import:
    """One run of a job. at: where its rows are, once they are."""

    def __init__(self, db: Session, job: Job, writer: ThreadPoolExecutor, tell: Tell) -> None:
        self._db, self._job, self._writer, self._tell = db, job, writer, tell
        self._run_as = partial(rows.run_as, db, job.tenant_id)
        # While a batch is stored the next one is made.
        self._storing: Future[list[list[Row]]] | None = None
        self._report = Report()
        self.at: At | None = None

    def from_files(self, path: Path) -> None:
        with closing(Source(path)) as source:
            options = Options(**{name: self._job.options.get(name) for name in Options.__slots__})
            self._mark("read", 0, 0)
            digest = source.digest()
            content = FORMATS[self._job.format].read(source, options, self._report)
            self.at = self._begin(content, path.name, digest)
            with closing(gather(self._read(content.records), self._report)) as gathered:
                self._store(content, gathered)

    def _begin(self, content: Content, source: str, digest: bytes) -> At:
        name = rows.name(content.url, content.version)
        self._settle()
        # Another job may bring the same files, and would go on with the same rows.
        if not terminology_jobs.hold(self._db, self._job.tenant_id, name):
            raise Conflict(f"{name} is being imported just now.")
        system_id = rows.begin(self._run, self._job.tenant_id, content.url, content.version, source, digest)
        return self._job.tenant_id, system_id

    def _read(self, records: Iterable[Record]) -> Iterator[Record]:
        for count, record in enumerate(records):
            if not count % _BATCH:
                self._mark("read", count, 0)
            yield record

    def _store(self, content: Content, gathered: Gathered) -> None:
        assert self.at is not None
        total = len(gathered.codes)
        if not total:
            why = f" {self._report.summary()}" if self._report.refused else ""
            raise Unprocessable(f"There is no concept in these files.{why}")
        self._mark("number", 0, total)
        numbered = numbering(gathered.parents, gathered.codes)
        done, last = rows.stored(self._run, self.at)
        self._concepts(gathered, numbered, done)
        self._postings(gathered, numbered, last)
        described = {
            "name": content.name,
            "content": "complete",
            "language": self._job.options.get("language") or "",
            "caseSensitive": content.case_sensitive,
            "hierarchical": any(gathered.parents),
            "properties": dict(content.properties),
            "languages": sorted(filter(None, gathered.languages)),
            **content.described,
            "format": self._job.format,
            "refused": self._report.refused,
        }
        self._settle()
        self._run_as(rows.ANALYZE)
        replace = bool(self._job.options.get("replace"))
        ended = terminology_jobs.end(self._job, "done", self._report.summary())
        _check(self._run([ended, *rows.activate(self.at, total, described, replace=replace, job_id=self._job.id)]))

    def _concepts(self, gathered: Gathered, numbered: Numbering, done: int) -> None:
        assert self.at is not None
        total = len(gathered.codes)
        while done < total:
            self._mark("concepts", done, total, _concepts(self.at, gathered, numbered, done))
            done = min(done + _BATCH, total)

    def _postings(self, gathered: Gathered, numbered: Numbering, last: tuple[str, str]) -> None:
        assert self.at is not None
        done = 0
        for batch in _batches(postings(gathered, numbered)):
            left = [each for each in batch if each[:2] > last]
            if left:
                kinds, keys, packed = zip(*left, strict=True)
                self._mark("postings", done, 0, rows.postings(self.at, kinds, keys, packed))
            done += len(batch)

    def _mark(self, phase: str, done: int, total: int, statement: Statement | None = None) -> None:
        """Store a batch together with how far the job is."""
        self._tell(phase, done, total)
        system_id = None if self.at is None else self.at[1]
        progress = terminology_jobs.progress(self._job, phase, done, total, system_id)
        statements = [progress] if statement is None else [progress, statement]
        self._settle()
        self._storing = self._writer.submit(self._run_as, statements, lazily=True)

    def _settle(self) -> None:
        """Wait until the last batch is stored."""
        if self._storing is not None:
            _check(self._storing.result())
            self._storing = None

    def _run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        self._settle()
        return self._run_as(statements)


def _check(answers: list[list[Row]]) -> None:
    """The first statement says how far the job is: no row when the job is not to go on."""
    if not answers[0]:
        raise Cancelled("The import was cancelled.")


def _concepts(at: At, gathered: Gathered, numbered: Numbering, done: int) -> Statement:
    codes, displays, flags, parents, below, details = [], [], [], [], [], []
    number = numbered.number
    for place in numbered.order[done : done + _BATCH]:
        display, detail = gathered.texts(place)
        codes.append(gathered.codes[place])
        displays.append(display)
        flags.append(gathered.flags[place])
        above = ",".join([str(number[parent]) for parent in gathered.parents[place]])
        parents.append(f"{{{above}}}")
        # PostgreSQL sorts and joins the ranges.
        ranges = numbered.below(place)
        text = ",[%d,%d)" * len(ranges) % tuple(chain.from_iterable(ranges))
        below.append(f"{{{text[1:]}}}")
        details.append(detail)
    return rows.concepts(at, done, codes, displays, flags, parents, below, details)


def _batches(found: Iterator[Posting]) -> Iterator[list[Posting]]:
    while batch := list(islice(found, 1)):
        size = len(batch[0][2])
        for each in found:
            batch.append(each)
            size += len(each[2])
            if size > _BATCH_BYTES or len(batch) >= _BATCH:
                break
        yield batch


def run(db: Session, job: Job, path: Path, tell: Tell = lambda phase, done, total: None) -> Job | None:
    """Do a job, or go on with it: what it has come to, with what was left out as its message. None when somebody else
    does it just now, or when it had ended before. Bad files make it failed, with the sentence that says why, and leave
    nothing; when the database goes away, it stays to be gone on with."""
    as_server = partial(rows.run_as, db, job.tenant_id)
    if not terminology_jobs.hold(db, job.tenant_id, job.id):
        return None
    try:
        if not terminology_jobs.start(as_server, job):
            return None
        with ThreadPoolExecutor(1) as writer, _few_pauses():
            work = _Import(db, job, writer, tell)
            ended = _outcome(work, path)
        if ended is not None:
            gone = [] if work.at is None or ended.later else [rows.abandon(work.at)]
            as_server([terminology_jobs.end(job, "failed", ended.why), *gone])
        while rows.sweep(db, job.tenant_id):
            pass
    finally:
        terminology_jobs.release(db)
    return terminology_jobs.find(as_server, job.tenant_id, job.id)


@dataclass(frozen=True, slots=True)
class _Ended:
    """Why an import failed; `later`: whether it may go on when it is tried again."""

    why: str
    later: bool = False


def _outcome(work: _Import, path: Path) -> _Ended | None:
    """Do the work: None when it is done."""
    try:
        work.from_files(path)
    except Unavailable:
        raise
    except FhirError as error:
        return _Ended(str(error))
    except OSError as error:
        return _Ended(f"The files cannot be read to their end: {error.strerror or error}.", later=True)
    except Exception:
        # What nobody foresaw must not be tried again and again.
        _log.exception("an import failed")
        return _Ended("The files are not as this format has them.")
    return None


@contextmanager
def _few_pauses() -> Iterator[None]:
    """Millions of objects that all stay would be looked through for circles again and again."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
