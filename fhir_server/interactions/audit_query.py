"""What a search of AuditEvent may ask for: the parameters of R4 that the log can answer.

https://hl7.org/fhir/R4/auditevent.html#search
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fhir_server.core.context import Context
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Invalid, NotSupported
from fhir_server.core.references import ID
from fhir_server.search.values.reference import local_target
from fhir_server.security.audit_events import Kind, kinds
from fhir_server.security.audit_render import place_of
from fhir_server.settings import settings
from fhir_server.storage.clock import END, first_seq

Pairs = Sequence[tuple[str, str]]
SUPPORTED = ("_id", "date", "patient", "agent", "action", "outcome", "type", "subtype", "entity", "_count", "_sort")
_SHAPING = ("_format", "_pretty")
# An event may name a thousand resources, so that pages are shorter than elsewhere.
MOST = 200
_OUTCOMES = ("0", "4", "8", "12")


@dataclass(slots=True)
class Asked:
    """A search, parsed. None: not asked. `patients`: ids; `agents`, `entities`: `(type, id)`, any of them; `events`:
    numbers of the kinds that are left; `kept`: the pairs that count, for page links."""

    ids: list[tuple[int, int]] | None = None
    since: int = 0
    until: int = END
    patients: list[str] | None = None
    agents: list[tuple[str, str]] | None = None
    entities: list[list[tuple[str, str]]] = field(default_factory=list)
    events: list[int] | None = None
    outcomes: list[int] | None = None
    count: int = 0
    ascending: bool = False
    cursor: str | None = None
    kept: list[tuple[str, str]] = field(default_factory=list)


def parse(ctx: Context, pairs: Pairs) -> Asked:
    """Parse a query. Raises `Invalid` for a value that cannot be read, `NotSupported` for any other parameter, unless
    handling is lenient."""
    asked = Asked(count=min(settings.page_size, MOST))
    for name, value in pairs:
        if name == "_cursor":
            asked.cursor = value
            continue
        take = _TAKE.get(name)
        if take is not None:
            take(ctx, asked, value)
        elif name in _SHAPING or ctx.lenient:
            continue
        else:
            raise NotSupported(
                f"AuditEvent cannot be searched by {name!r}. There are: {', '.join(SUPPORTED)}.",
                expression=f"http.{name}",
            )
        asked.kept.append((name, value))
    return asked


def _ids(ctx: Context, asked: Asked, value: str) -> None:
    places = [place for each in value.split(",") if (place := place_of(each)) is not None]
    asked.ids = places if asked.ids is None else [each for each in asked.ids if each in places]


def _date(ctx: Context, asked: Asked, value: str) -> None:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        lo, hi = parse_range(text)
    except ValueError:
        raise Invalid("date takes a FHIR date or dateTime.", expression="http.date", code="value") from None
    bounds = {
        "eq": (lo, hi), "ge": (lo, None), "gt": (hi, None), "sa": (hi, None),
        "le": (None, hi), "lt": (None, lo), "eb": (None, lo),
    }.get(prefix)  # fmt: skip
    if bounds is None:
        raise NotSupported("date takes the prefixes eq, ge, gt, sa, le, lt and eb here.", expression="http.date")
    since, until = bounds
    asked.since = max(asked.since, 0 if since is None else first_seq(since))
    asked.until = min(asked.until, END if until is None else first_seq(until))


def _patient(ctx: Context, asked: Asked, value: str) -> None:
    found = [_reference(ctx, each, "patient", "Patient")[1] for each in value.split(",")]
    asked.patients = found if asked.patients is None else [each for each in asked.patients if each in found]


def _agent(ctx: Context, asked: Asked, value: str) -> None:
    found = [one for each in value.split(",") for one in _references(ctx, each, "agent")]
    asked.agents = found if asked.agents is None else [each for each in asked.agents if each in found]


def _entity(ctx: Context, asked: Asked, value: str) -> None:
    asked.entities.append([one for each in value.split(",") for one in _references(ctx, each, "entity")])


def _references(ctx: Context, value: str, name: str) -> list[tuple[str, str]]:
    """What a value means: a bare id is that of a resource of any type that the parameter can point to."""
    if ID.match(value):
        types = ctx.registry.search_params("AuditEvent")[name].targets or ctx.registry.resource_types
        return [(kind, value) for kind in types]
    return [_reference(ctx, value, name)]


def _reference(ctx: Context, value: str, name: str, kind: str | None = None) -> tuple[str, str]:
    if kind is not None and ID.match(value):
        return kind, value
    _, found, id_ = local_target(value, ctx.base)
    if found is None or found not in ctx.registry.type_ids or id_ is None or kind not in (None, found):
        raise Invalid(
            f"{name} takes a reference, such as {kind or 'Practitioner'}/123.", expression=f"http.{name}", code="value"
        )
    return found, id_


def _action(ctx: Context, asked: Asked, value: str) -> None:
    codes = [each.rpartition("|")[2] for each in value.split(",")]
    _keep(asked, lambda kind: kind.action in codes)


def _type(ctx: Context, asked: Asked, value: str) -> None:
    _keep(asked, lambda kind: any(_is(each, kind.type["system"], kind.type["code"]) for each in value.split(",")))


def _subtype(ctx: Context, asked: Asked, value: str) -> None:
    _keep(asked, lambda kind: any(_is(each, kind.subtype["system"], kind.subtype["code"]) for each in value.split(",")))


def _is(token: str, system: str, code: str) -> bool:
    given, bar, text = token.rpartition("|")
    return (not text or text == code) and (not bar or given == system) and bool(given or text)


def _keep(asked: Asked, test: Callable[[Kind], bool]) -> None:
    left: Iterable[Kind] = kinds().values()
    asked.events = [k.number for k in left if test(k) and (asked.events is None or k.number in asked.events)]


def _outcome(ctx: Context, asked: Asked, value: str) -> None:
    codes = [each.rpartition("|")[2] for each in value.split(",")]
    # As everywhere, a code that no event has finds no event.
    found = [int(code) for code in codes if code in _OUTCOMES]
    asked.outcomes = found if asked.outcomes is None else [each for each in asked.outcomes if each in found]


def _count(ctx: Context, asked: Asked, value: str) -> None:
    if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) < 10**9):
        raise Invalid("_count takes a whole number from 1.", expression="http._count", code="value")
    asked.count = min(int(value[:9]), MOST)


def _sort(ctx: Context, asked: Asked, value: str) -> None:
    if value not in ("date", "-date"):
        raise NotSupported("AuditEvent is sorted by date or -date.", expression="http._sort")
    asked.ascending = value == "date"


_TAKE: dict[str, Callable[[Context, Asked, str], None]] = {
    "_id": _ids,
    "date": _date,
    "patient": _patient,
    "agent": _agent,
    "entity": _entity,
    "action": _action,
    "type": _type,
    "subtype": _subtype,
    "outcome": _outcome,
    "_count": _count,
    "_sort": _sort,
}
