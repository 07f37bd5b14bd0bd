"""What is stored, validated again: rules and profiles change after data is written.

Each call does one batch in one transaction, and says how far it came.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Issue
from fhir_server.core.resource_json import decode
from fhir_server.interactions import write
from fhir_server.interactions.judging import ERRORS, distinct, judged
from fhir_server.storage import reindex as stored
from fhir_server.storage.versions import NewVersion
from fhir_server.validation import tagging
from fhir_server.validation.modes import REJECT, TAG, storable
from fhir_server.validation.run import faults

# A report needs no more of them.
_MOST_RULES = 1000


@dataclass(slots=True)
class Found:
    """How far a walk has come. `rules`: how many resources break a rule, by (type, rule); `examples`: one of each, as
    `Type/id`; `changed`: marks that were set or taken off; `after`: the last rid, None at the end."""

    done: int = 0
    invalid: int = 0
    changed: int = 0
    after: int | None = 0
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, more: "Found") -> None:
        """Count the next batch in, and go on behind it."""
        self.done, self.invalid = self.done + more.done, self.invalid + more.invalid
        self.changed, self.after = self.changed + more.changed, more.after
        for key, count in more.rules.items():
            if key in self.rules or len(self.rules) < _MOST_RULES:
                self.rules[key] += count
                self.examples.setdefault(key, more.examples[key])


def revalidate(
    ctx: Context, after: int, *, type_id: int | None, profiles: Sequence[str], mark: bool, limit: int = 200
) -> Found:
    """Validate the resources behind a rid as a write would now, and against `profiles` besides.

    `mark`: set the mark on what breaks rules and take it off what does not, each as a version of its own.
    """
    found = Found()
    heads = stored.batch(ctx.db, ctx.tenant.id, after, limit, type_id=type_id, lock=mark)
    wrong: dict[tuple[str, str], list[Issue]] = {}
    for head in heads:
        if head.deleted:
            continue
        name = ctx.registry.type_names[head.type_id]
        resource = decode(head.body)
        issues = _errors(ctx, resource, profiles)
        found.done += 1
        if issues:
            found.invalid += 1
            _count(found, name, head.id, issues)
        if mark and (issues or tagging.is_marked(resource)):
            wrong[name, head.id] = issues
    if wrong:
        found.changed += _mark(ctx, wrong)
    found.after = heads[-1].rid if len(heads) == limit else None
    ctx.db.commit()
    return found


def _errors(ctx: Context, resource: dict[str, Any], profiles: Sequence[str]) -> list[Issue]:
    issues = faults(ctx.registry, resource)
    if all(map(storable, issues)):
        for verdict in judged(ctx, resource, (REJECT, TAG), asked=profiles):
            issues += verdict.issues
    return distinct(issue for issue in issues if issue.severity in ERRORS)


def _count(found: Found, name: str, resource_id: str, issues: Sequence[Issue]) -> None:
    for rule in {issue.rule or issue.code for issue in issues}:
        found.rules[name, rule] += 1
        found.examples.setdefault((name, rule), f"{name}/{resource_id}")


def _mark(ctx: Context, wrong: dict[tuple[str, str], list[Issue]]) -> int:
    """Bring the marks of these resources up to date; how many of them changed."""
    heads = write.lock_heads(ctx, list(wrong), "u")
    news: list[NewVersion] = []
    for (name, resource_id), issues in wrong.items():
        head = heads.get((ctx.registry.type_ids[name], resource_id))
        if head is None or head.deleted:
            continue
        resource = decode(head.body)
        tagging.remove(resource)
        if issues:
            tagging.add(resource, issues)
        new = write.stage_update(ctx, name, resource_id, resource, head)
        if new is not None:
            news.append(new)
    if news:
        with ctx.db.hold():
            write.store(ctx, news)
    return len(news)
