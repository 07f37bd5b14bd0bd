"""Loading in process: the same dispatch as HTTP, as the server itself, the position kept in the same transaction.

So after a crash at any moment a source goes on exactly where its last commit ended: nothing twice, no half Bundle.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from fhir_server.cli.sources import Source
from fhir_server.core.context import Principal
from fhir_server.core.errors import FhirError
from fhir_server.core.messages import FHIR_JSON, FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest import dispatch
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.storage import operator, tenants
from fhir_server.storage.session import Session

SYSTEM = Principal("fhir-server load", parse_scopes("system/*.cruds"), None)
Advance = Callable[[int], None]
Numbered = tuple[int, dict[str, Any]]
_LINES = 200
_MESSAGES = 20


@dataclass(slots=True)
class Outcome:
    """What became of one source: how many resources are stored, how many were refused, and why (the first 20)."""

    file: str
    status: str = "loaded"
    resources: int = 0
    failed: int = 0
    messages: list[str] = field(default_factory=list)

    def refuse(self, message: str) -> None:
        """Count a resource or Bundle that was not stored."""
        self.failed += 1
        if len(self.messages) < _MESSAGES:
            self.messages.append(message)

    def with_more(self, resources: int) -> dict[str, Any]:
        """What is kept in the database when this many more are stored."""
        return {**asdict(self), "resources": self.resources + resources}

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from what was kept."""
        self.resources, self.failed, self.messages = kept["resources"], kept["failed"], list(kept["messages"])


class LoadRefused(FhirError):
    """The server refused a Bundle; the text is its OperationOutcome in one line."""

    def __init__(self, outcome: Mapping[str, Any]) -> None:
        super().__init__(_line(outcome) or "refused")


class Loader:
    """Stores Bundles into one tenant. Raises `NotFound` for a tenant that is not there or suspended."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.base = settings.fhir_base(slug)
        self.tenant_id = tenants.find(dispatch.session(), slug).tenant.id

    def load(self, source: Source, advance: Advance) -> Outcome:
        """Load one file; `advance` is told the bytes it has come further. Never raises for what is in the file."""
        outcome = Outcome(str(source.path))
        try:
            identity = source.identity()
            position, kept = self.progress(identity)
            if position:
                outcome.resume(kept)
            with source.open() as file:
                if source.ndjson:
                    self._ndjson(file, identity, position, outcome, advance)
                elif not position:
                    self._bundle(file.read(), identity, outcome)
                else:
                    outcome.status = "already loaded"
        except (OSError, EOFError, zlib.error, FhirError) as error:
            outcome.refuse(str(error))
        if outcome.failed:
            outcome.status = "partly loaded" if outcome.resources else "failed"
        return outcome

    def progress(self, source: str) -> tuple[int, dict[str, Any]]:
        """How many units of a source are stored, and what was kept beside."""
        return operator.load_position(self._entered(), self.tenant_id, source)

    def store(self, body: bytes, source: str, position: int, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Process a transaction or batch Bundle and move the source's position; the entries of the response.

        A transaction and the position are one commit. Raises `LoadRefused`; then nothing of a transaction is stored.
        """

        def move(db: Session) -> None:
            operator.save_load_position(db, self.tenant_id, source, position, kept)

        headers = {"content-type": FHIR_JSON, "prefer": "return=minimal"}
        request = FhirRequest("POST", "", [], headers, body, self.base)
        response = dispatch.handle(request, self.slug, principal=SYSTEM, before_commit=move)
        answer = decode(response.body or b"{}")
        if response.status >= 400:
            raise LoadRefused(answer)
        entries: list[dict[str, Any]] = answer.get("entry", [])
        return entries

    def _bundle(self, body: bytes, identity: str, outcome: Outcome) -> None:
        value = decode(body)
        if not isinstance(value, dict):
            raise FhirError("the file holds no FHIR resource")
        if value.get("resourceType") == "Bundle" and value.get("type") in ("transaction", "batch"):
            count = len(value.get("entry", []))
        else:
            body, count = _upserts([(1, value)]), 1
        for index, entry in enumerate(self.store(body, identity, 1, outcome.with_more(count))):
            if entry["response"]["status"] >= "4":
                outcome.refuse(f"Bundle.entry[{index}]: {_line(entry['response'].get('outcome', {}))}")
        outcome.resources = count - outcome.failed
        if outcome.failed:
            operator.save_load_position(self._entered(), self.tenant_id, identity, 1, outcome.with_more(0))

    def _ndjson(self, file: BinaryIO, identity: str, position: int, outcome: Outcome, advance: Advance) -> None:
        news = False
        for first, lines in _batches(file):
            if first + len(lines) - 1 > position:
                self._lines(identity, first, lines, outcome)
                news = True
            advance(sum(map(len, lines)))
        if position and not news:
            outcome.status = "already loaded"

    def _lines(self, identity: str, first: int, lines: Sequence[bytes], outcome: Outcome) -> None:
        """Store lines in one transaction; when it is refused, one by one, so that only the wrong ones are left out."""
        last = first + len(lines) - 1
        resources = list(_resources(first, lines, outcome))
        try:
            if resources:
                self.store(_upserts(resources), identity, last, outcome.with_more(len(resources)))
            outcome.resources += len(resources)
        except FhirError:
            for number, resource in resources:
                self._single(identity, number, resource, outcome)
        operator.save_load_position(self._entered(), self.tenant_id, identity, last, outcome.with_more(0))

    def _single(self, identity: str, number: int, resource: dict[str, Any], outcome: Outcome) -> None:
        try:
            self.store(_upserts([(number, resource)]), identity, number, outcome.with_more(1))
            outcome.resources += 1
        except FhirError as error:
            outcome.refuse(f"line {number}: {error}")

    def _entered(self) -> Session:
        db = dispatch.session()
        db.enter(self.tenant_id, None, tenants.find(db, self.slug).registry_version)
        return db


def _batches(file: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    number = 1
    while lines := list(islice(file, _LINES)):
        yield number, lines
        number += len(lines)


def _resources(first: int, lines: Sequence[bytes], outcome: Outcome) -> Iterator[Numbered]:
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            value = decode(line)
        except FhirError as error:
            outcome.refuse(f"line {number}: {error}")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            outcome.refuse(f"line {number}: no FHIR resource")


def _upserts(resources: Sequence[Numbered]) -> bytes:
    """A transaction that puts each resource at its id, or creates it when it has none."""
    entries = []
    for _, resource in resources:
        name = str(resource.get("resourceType"))
        if "id" in resource:
            request = {"method": "PUT", "url": f"{name}/{resource['id']}"}
        else:
            request = {"method": "POST", "url": name}
        entries.append({"resource": resource, "request": request})
    return encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _line(outcome: Mapping[str, Any]) -> str:
    said = []
    for issue in outcome.get("issue", [])[:5]:
        where = ", ".join(issue.get("expression", []))
        text = str(issue.get("details", {}).get("text") or issue.get("diagnostics") or issue.get("code"))
        said.append(f"{where}: {text}" if where else text)
    return "; ".join(said)
