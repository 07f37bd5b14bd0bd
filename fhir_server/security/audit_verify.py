"""Checking the audit chain of a tenant: was a row changed, removed, added or moved, was the end cut off."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fhir_server.security import audit_key
from fhir_server.security.audit_seal import GENESIS, extend, signed_text
from fhir_server.storage import audit_chain as chain
from fhir_server.storage.audit_chain import SEQ, XID, Link
from fhir_server.storage.session import Session

_PAGE = 5_000
_BEFORE_ALL = -(2**63)


@dataclass(slots=True)
class Report:
    """What was found. `links`, `events`: how many were checked; `unsealed`: rows that no link covers yet;
    `checkpoints`: lines of the record outside the database that were compared; `problems`: in words, none is good."""

    links: int = 0
    events: int = 0
    unsealed: int = 0
    checkpoints: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def blame(self, number: int, kind: str, text: str) -> None:
        """Add a problem with a link."""
        self.problems.append({"link": number, "kind": kind, "text": text})


def verify(db: Session, tenant_id: int) -> Report:
    """Check every link of the tenant's chain against the rows, and against the record outside the database.

    The session must have entered the tenant.
    """
    # Read before the chain, which can only be longer by then.
    outside = [line for line in audit_key.recorded() if line.get("tenant") == tenant_id]
    links = chain.links(db, tenant_id)
    report = Report()
    keys = audit_key.public_keys()
    previous, start, number = GENESIS, 0, 0
    for link in links:
        number += 1
        if link.number != number:
            report.blame(number, "missing link", f"After link {number - 1} comes link {link.number}.")
            number = link.number
        elif link.previous != previous or link.from_xid != start:
            report.blame(number, "broken chain", "The link does not continue the one before it.")
        _check_link(db, tenant_id, link, keys, report)
        previous, start = link.hash, link.to_xid
    report.links = len(links)
    report.unsealed = chain.unsealed(db, tenant_id, start)
    _check_outside(outside, {link.number: link for link in links}, report)
    db.commit()
    return report


def _check_link(db: Session, tenant_id: int, link: Link, keys: dict[str, bytes], report: Report) -> None:
    public = keys.get(link.key_name)
    if public is None:
        report.blame(link.number, "unknown key", f"It is signed by the key {link.key_name}, which is not known here.")
    elif not audit_key.is_signed(public, link.signature, signed_text(tenant_id, link)):
        report.blame(link.number, "signature", "Its signature is not right: the link was changed or made by others.")
    digest, events = sha256(link.previous), 0
    after = (link.from_xid, _BEFORE_ALL)
    while True:
        rows = chain.between(db, tenant_id, after, link.to_xid, _PAGE)
        extend(digest, rows)
        events += len(rows)
        if len(rows) < _PAGE:
            break
        after = (int(rows[-1][XID] or 0), int(rows[-1][SEQ] or 0))
    report.events += events
    if digest.digest() == link.hash and events == link.events:
        return
    where = f"Of the events of transactions {link.from_xid} to {link.to_xid - 1}"
    if events < link.events:
        report.blame(link.number, "deleted", f"{where}, {link.events - events} are missing.")
    elif events > link.events:
        report.blame(link.number, "inserted", f"{where}, {events - link.events} were added later.")
    else:
        report.blame(link.number, "changed", f"{where}, at least one was changed or moved.")


def _check_outside(lines: list[dict[str, Any]], links: dict[int, Link], report: Report) -> None:
    for line in lines:
        number = line.get("number", 0)
        link = links.get(number)
        report.checkpoints += 1
        if link is None:
            report.blame(number, "truncated", "The record outside the database has this link, the database has not.")
        elif link.hash.hex() != line.get("hash"):
            report.blame(number, "replaced", "The record outside the database has another hash for this link.")
