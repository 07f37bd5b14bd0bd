"""What a simulated day shows: how it went, and whether what must always hold did hold."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from fhir_server.simulation.record import Record, Seen

_ENDED = ("served", "cancelled", "expired", "no-show", "transferred")
_STATE = "urn:salam:CodeSystem:ticket-state"
# What must be none; its name in the report.
INVARIANTS = ("double_calls", "gaps_in_numbers", "numbers_given_twice", "lost_events", "tickets_without_end", "errors")
Json = dict[str, Any]


def report(
    record: Record, tasks: Sequence[Json], *, speed: float, lost: int, heard: Mapping[str, Any],
    seconds: Sequence[float], refused: Mapping[str, int],
) -> Json:  # fmt: skip
    """The report as a JSON value. `tasks`: every ticket of the day as it is stored in the end; `lost`: changes that the
    event stream did not tell; `heard`: how it was listened to; `seconds`: how long requests took. Waits are in minutes
    of the day: those of the server times `speed`."""
    gaps, twice = numbers(tasks)
    states = [_state(task) for task in tasks]
    called = [seen for seen in record.tickets.values() if seen.called is not None]
    return {
        "speed": speed,
        "note": f"The day is compressed: time stamps and estimates are the server's. Its minute is {speed:g} minutes of"
        f" the day, so a range in steps of five minutes has steps of {5 * speed:g}, and a grace period of one minute"
        f" lasts {speed:g}.",
        "tickets": len(tasks),
        "served": states.count("served"),
        "transferred": states.count("transferred"),
        "no_shows": states.count("no-show"),
        "cancelled": states.count("cancelled"),
        "expired": states.count("expired"),
        "happened": dict(sorted(record.counts.items())),
        "waits": {"all": _waits(called), **{kind: _waits(of) for kind, of in _by_kind(called).items()}},
        "estimates": _estimates(called, speed),
        "events": dict(heard),
        "requests": {"count": len(seconds), "refused": dict(refused), **_latency(seconds)},
        "double_calls": len(record.double_calls),
        "gaps_in_numbers": gaps,
        "numbers_given_twice": twice,
        "lost_events": lost,
        "tickets_without_end": sum(state not in _ENDED for state in states),
        "errors": record.counts["errors"],
        "error_texts": record.errors,
    }


def broken(found: Mapping[str, Any]) -> list[str]:
    """The invariants that do not hold."""
    return [name for name in INVARIANTS if found[name]]


def numbers(tasks: Iterable[Json]) -> tuple[int, int]:
    """How many numbers are missing between the first and the last of each queue and day, and how many are there more
    than once."""
    by_system: dict[str, list[int]] = {}
    for task in tasks:
        given = task["identifier"][0]
        by_system.setdefault(given["system"], []).append(int(given["value"].rpartition("-")[2]))
    gaps = sum(max(found) - min(found) + 1 - len(set(found)) for found in by_system.values())
    return gaps, sum(len(found) - len(set(found)) for found in by_system.values())


def text(found: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [found["note"], ""]
    counted = ("tickets", "served", "transferred", "no_shows", "cancelled", "expired")
    lines.append("  ".join(f"{name.replace('_', '-')} {found[name]}" for name in counted))
    lines.append("  ".join(f"{name} {number}" for name, number in found["happened"].items() if name != "errors"))
    lines += ["", "Waits in minutes of the day, until the first call:"]
    for kind, waits in found["waits"].items():
        if waits["n"]:
            lines.append(f"  {kind:<12} n {waits['n']:>4}   median {waits['median']:>6}   p90 {waits['p90']:>6}")
    guess, events, asked = found["estimates"], found["events"], found["requests"]
    if guess["n"]:
        lines.append(
            f"Estimates: mean absolute error {guess['mae']} minutes, {guess['within_range']:.0%} within the range"
            f" ({guess['n']} tickets)"
        )
    lines.append(f"Events: {', '.join(f'{name} {value}' for name, value in events.items())}")
    lines.append(f"Requests: {asked['count']}, median {asked['median_ms']} ms, p95 {asked['p95_ms']} ms")
    lines += ["", *(f"{name.replace('_', ' '):<20} {found[name]}" for name in INVARIANTS), *found["error_texts"]]
    wrong = broken(found)
    lines += ["", f"BROKEN: {', '.join(wrong)}" if wrong else "Everything held that must hold."]
    return "\n".join(lines)


def _state(task: Json) -> str:
    return next((c["code"] for c in task["businessStatus"]["coding"] if c["system"] == _STATE), "")


def _by_kind(called: Iterable[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for seen in called:
        found.setdefault(seen.person.kind, []).append(seen)
    return dict(sorted(found.items()))


def _waits(called: Iterable[Seen]) -> Json:
    waits = sorted(seen.called - seen.taken for seen in called if seen.called is not None)
    if not waits:
        return {"n": 0}
    return {"n": len(waits), "median": round(median(waits), 1), "p90": round(_quantile(waits, 0.9), 1)}


def _estimates(called: Sequence[Seen], speed: float) -> Json:
    """How good the original estimates were. Who took a ticket at home, or was put first, is as good as any."""
    if not called:
        return {"n": 0}
    pairs = [((seen.called or 0.0) - seen.taken, seen.estimate) for seen in called]
    errors = [abs(wait - middle * speed) for wait, (_, middle, _) in pairs]
    within = sum(low * speed <= wait <= high * speed for wait, (low, _, high) in pairs)
    return {"n": len(pairs), "mae": round(sum(errors) / len(errors), 1), "within_range": round(within / len(pairs), 3)}


def _latency(seconds: Sequence[float]) -> Json:
    if not seconds:
        return {"median_ms": 0, "p95_ms": 0}
    ordered = sorted(seconds)
    return {"median_ms": round(1000 * median(ordered), 1), "p95_ms": round(1000 * _quantile(ordered, 0.95), 1)}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
