"""How often somebody may try: sign-in and the OAuth endpoints (`check`, `failed`), and FHIR requests (`fhir`).

Windows of fixed length. What only slows things down is counted in Valkey, and in the table `throttle` while Valkey is
away. What locks somebody out is always counted in the table: it survives a restart and an emptied Valkey.

Nobody can lock another person out by knowing a user name: too many failures close the account only for the address that
they come from. Failures on an account from anywhere make it `pressed`, and then sign-in asks for a second proof.

FHIR requests must not pay a round trip each. A process takes a share of the minute's allowance out of Valkey's counter
(a fiftieth of the limit) and spends that without asking anybody; so the limit holds over all processes, give or take
one share for each. While Valkey is away each process allows its part of the limit.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from fhir_server.core.errors import Throttled
from fhir_server.security import valkey
from fhir_server.security.proxies import client_address
from fhir_server.settings import settings
from fhir_server.storage import throttles
from fhir_server.storage.session import Session

__all__ = ["GUESTS", "KINDS", "VISITOR", "check", "client_address", "failed", "fhir", "pressed", "succeeded"]


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `limit` in `seconds`, counted for `of`: "all" parties together, the "first" one or the "last" one.

    `failures`: only what `failed` tells counts. `lasting`: a lock-out, kept in the table. `soft`: refuses nothing, only
    makes the first party `pressed`.
    """

    limit: int
    seconds: int
    of: str = "all"
    failures: bool = False
    lasting: bool = False
    soft: bool = False


# The client of guests, and the user of it whom all visitors share (security/guests.py).
GUESTS, VISITOR = "salam-guest", "visitor"
_LOCK_OUT = Rule(10, 900, failures=True, lasting=True)
# The parties of a kind, in order; the address of the client stands last.
KINDS: dict[str, tuple[Rule, ...]] = {
    # account, address
    "login": (
        _LOCK_OUT,
        Rule(200, 3600, "last", failures=True, lasting=True),
        # A clinic signs in from one address at eight o'clock.
        Rule(120, 60, "last"),
        Rule(50, 3600, "first", failures=True, lasting=True, soft=True),
    ),
    # user, address: a second factor, for somebody who has the password already
    "factor": (Rule(10, 900, "first", failures=True, lasting=True), Rule(60, 60, "last")),
    # account, address: codes and links that are sent by e-mail
    "code": (Rule(5, 900, "first"), Rule(30, 3600, "last")),
    # address, network: codes for who has no password, by mail or SMS. Each SMS costs, and annoys who did not ask.
    "send-code": (Rule(3, 600, "first"), Rule(10, 3600, "first"), Rule(20, 86400, "first"), Rule(60, 3600, "last")),
    # the tenant
    "send-sms": (Rule(300, 3600),),
    # account, address: such a code is all that signs in, so guesses are counted from everywhere, too
    "try-code": (
        _LOCK_OUT,
        Rule(200, 3600, "last", failures=True, lasting=True),
        Rule(50, 3600, "first", failures=True, lasting=True),
        Rule(60, 60, "last"),
    ),
    # address: guests who may hold times, and looks at the pages for everybody
    "guest": (Rule(30, 600), Rule(120, 3600)),
    "visit": (Rule(3000, 60),),
    # client, address
    "token": (Rule(600, 60), Rule(3000, 60, "last"), Rule(120, 60, failures=True)),
    "introspect": (Rule(6000, 60), Rule(120, 60, failures=True)),
    "revoke": (Rule(600, 60), Rule(120, 60, failures=True)),
    # address
    "register": (Rule(60, 3600),),
    # address: codes with which a screen is paired
    "pairing": (Rule(10, 900, failures=True, lasting=True), Rule(60, 60)),
    # what was given (a phone number, a code), kiosk: there is nothing to win but a number, and little to try
    "visitor": (
        Rule(5, 3600, "first", failures=True),
        Rule(40, 900, "last", failures=True),
        Rule(60, 60, "last"),
    ),
    # user
    "picker": (Rule(120, 60),),
    # user or address
    "authorize": (Rule(240, 60),),
}


def check(db: Session, tenant_id: int, kind: str, *parties: str) -> None:
    """Count an attempt of these parties (their order: `KINDS`). Raises `Throttled` (429) with `Retry-After`.

    Call it before a transaction is open: a count in the table is lost with what is rolled back.
    """
    rules = KINDS[kind]
    wait = _locked(db, tenant_id, kind, parties, [rule for rule in rules if rule.lasting and not rule.soft])
    counted = [rule for rule in rules if not rule.failures]
    if not wait:
        wait = _over(_count(db, tenant_id, kind, parties, counted), counted)
    if not wait:
        fast = [rule for rule in rules if rule.failures and not rule.lasting]
        wait = _over(_count(db, tenant_id, kind, parties, fast, amount=0), fast, before=True)
    if wait:
        raise _throttled(wait)


def failed(db: Session, tenant_id: int, kind: str, *parties: str) -> None:
    """Count a failure of these parties."""
    rules = KINDS[kind]
    lasting = [rule for rule in rules if rule.lasting]
    if lasting:
        throttles.count(
            db, tenant_id, [(_key(tenant_id, kind, rules.index(rule), parties, rule), rule.seconds) for rule in lasting]
        )
    _count(db, tenant_id, kind, parties, [rule for rule in rules if rule.failures and not rule.lasting])


def succeeded(db: Session, tenant_id: int, kind: str, *parties: str) -> None:
    """Forget the failures of these parties together: whoever knows the password may mistype it again."""
    rules = [rule for rule in KINDS[kind] if rule.lasting and rule.of == "all"]
    throttles.forget(db, tenant_id, [_key(tenant_id, kind, KINDS[kind].index(rule), parties, rule) for rule in rules])


def pressed(db: Session, tenant_id: int, kind: str, *parties: str) -> bool:
    """Whether somebody, from anywhere, failed so often on the first party that a password alone should not do."""
    return bool(_locked(db, tenant_id, kind, parties, [rule for rule in KINDS[kind] if rule.soft]))


def _throttled(seconds: int) -> Throttled:
    return Throttled(
        f"Too many requests. Try again in {seconds} seconds.", headers={"Retry-After": str(max(1, seconds))}
    )


def _locked(db: Session, tenant_id: int, kind: str, parties: tuple[str, ...], rules: list[Rule]) -> int:
    """Seconds for which one of the lock-outs holds; 0 for none."""
    if not rules:
        return 0
    keys = {_key(tenant_id, kind, KINDS[kind].index(rule), parties, rule): rule for rule in rules}
    found = throttles.read(db, tenant_id, list(keys))
    return max((left for key, (count, left) in found.items() if count >= keys[key].limit), default=0)


def _count(
    db: Session, tenant_id: int, kind: str, parties: tuple[str, ...], rules: list[Rule], amount: int = 1
) -> list[tuple[int, int]]:
    """Add to the counts of the rules: what they are now, and for how many seconds more."""
    if not rules:
        return []
    now = int(time.time())
    keys = [_key(tenant_id, kind, KINDS[kind].index(rule), parties, rule) for rule in rules]
    windows = [now - now % rule.seconds for rule in rules]
    counts = valkey.count(
        [
            (f"salam:throttle:{tenant_id}:{key.hex()}:{start}", amount, rule.seconds)
            for key, start, rule in zip(keys, windows, rules, strict=True)
        ]
    )
    if counts is not None:
        return [(n, start + rule.seconds - now) for n, start, rule in zip(counts, windows, rules, strict=True)]
    if amount == 0:
        stored = throttles.read(db, tenant_id, keys)
        return [stored.get(key, (0, 0)) for key in keys]
    return throttles.count(db, tenant_id, [(key, rule.seconds) for key, rule in zip(keys, rules, strict=True)])


def _over(counts: Iterable[tuple[int, int]], rules: list[Rule], *, before: bool = False) -> int:
    """Seconds until the last of the exceeded rules ends; 0 for none. `before`: the attempt is not in the counts."""
    extra = 1 if before else 0
    return max((left for (n, left), rule in zip(counts, rules, strict=True) if n + extra > rule.limit), default=0)


def _key(tenant_id: int, kind: str, number: int, parties: tuple[str, ...], rule: Rule) -> bytes:
    """What a count stands under: a keyed hash, because parties are e-mail addresses and the like."""
    chosen = parties if rule.of == "all" else parties[:1] if rule.of == "first" else parties[-1:]
    text = "\x1f".join((kind, str(number), *(_network(party) for party in chosen)))
    return hashlib.blake2b(f"{tenant_id}\x1f{text}".encode(), digest_size=16, key=settings.secret_key()[:64]).digest()


def _network(party: str) -> str:
    """An IPv6 host has 2^64 addresses; they count as one."""
    if party.count(":") < 2:
        return party
    try:
        address = IPv6Address(party)
    except ValueError:
        return party
    return str(IPv6Address(int(address) >> 64 << 64))


# -- FHIR requests -----------------------------------------------------------------------------------------------------

_WINDOW_S = 60
_SHARES = 50
_GUEST_RATE = 600
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Allowance:
    """What this process may still spend for somebody in the present minute."""

    window: int = 0
    left: int = 0
    taken: int = 0
    refused: bool = False


_allowances: OrderedDict[tuple[int, str, str], _Allowance] = OrderedDict()


def fhir(tenant_id: int, client_id: str, user_id: str = "", cost: int = 1) -> None:
    """Take the cost of a FHIR request (for a Bundle: its number of entries) from the allowance of the client, for each
    of its users apart, and from the tenant's. Raises `Throttled`. About a microsecond, nearly always."""
    window = int(time.time()) // _WINDOW_S
    rate = _rate(client_id, user_id)
    if rate:
        _spend((tenant_id, client_id, user_id), rate, window, cost)
    if settings.tenant_rate:
        _spend((tenant_id, "", ""), settings.tenant_rate, window, cost)


def _rate(client_id: str, user_id: str) -> int:
    """A minute's requests. Anybody can be a guest, so one guest gets what a person at a booking page can need; the one
    whom all share who only look is counted where they come in (`visit`)."""
    if client_id != GUESTS or user_id == VISITOR:
        return settings.client_rate
    return min(settings.client_rate or _GUEST_RATE, _GUEST_RATE)


def _spend(party: tuple[int, str, str], limit: int, window: int, cost: int) -> None:
    allowance = _allowances.get(party)
    if allowance is not None and allowance.window == window and allowance.left >= cost:
        allowance.left -= cost
        return
    if allowance is None:
        allowance = _allowances[party] = _Allowance()
        if len(_allowances) > _REMEMBERED:
            _allowances.popitem(last=False)
    if allowance.window != window:
        allowance.window, allowance.left, allowance.taken, allowance.refused = window, 0, 0, False
    if allowance.left < cost and not allowance.refused:
        _take_share(party, allowance, limit, max(limit // _SHARES, cost))
    if allowance.left < cost:
        raise _throttled(max(1, (window + 1) * _WINDOW_S - int(time.time())))
    allowance.left -= cost


def _take_share(party: tuple[int, str, str], allowance: _Allowance, limit: int, share: int) -> None:
    name = hashlib.blake2b("\x1f".join(map(str, party)).encode(), digest_size=16).hexdigest()
    key = f"salam:fhir:{party[0]}:{name}:{allowance.window}"
    counts = valkey.count([(key, share, 2 * _WINDOW_S)])
    if counts is None:
        limit = max(1, limit // max(1, settings.web_workers))
        before = allowance.taken
    else:
        before = counts[0] - share
    granted = max(0, min(share, limit - before))
    allowance.taken += granted
    allowance.left += granted
    # Nothing is left in this minute: do not ask again for each request that is refused.
    allowance.refused = granted == 0
