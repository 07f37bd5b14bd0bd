"""Time-ordered numbers for versions: `seq` and `rid`.

A number is microseconds since 2020 shifted by 12 bits (which lasts until 2091), with the process's node number below.
A process never gives the same microsecond twice, and nodes are dealt out by a sequence, so numbers do not collide and
sort by time.
"""

import threading
import time

_lock = threading.Lock()
_last = 0
_node: int | None = None

NODE_BITS = 12
EPOCH_US = 1_577_836_800_000_000
END = 2**63 - 1


def set_node(node: int) -> None:
    """Give this process its node number, 0 to 4095 (from the sequence `clock_node`)."""
    global _node
    _node = node & ((1 << NODE_BITS) - 1)


def has_node() -> bool:
    """Whether the process has its number yet."""
    return _node is not None


def tick(after: int = 0) -> int:
    """A new seq, later than every earlier one of this process and than `after` (an older version's seq)."""
    global _last
    with _lock:
        now = max(time.time_ns() // 1000 - EPOCH_US, _last + 1, (after >> NODE_BITS) + 1)
        _last = now
    return (now << NODE_BITS) | (_node or 0)


def micros(seq: int) -> int:
    """The microsecond since 1970 at which a seq was given."""
    return (seq >> NODE_BITS) + EPOCH_US


def first_seq(us: int) -> int:
    """The smallest seq of a microsecond since 1970: the lower bound for `_since`."""
    return max(min((us - EPOCH_US) << NODE_BITS, END), 0)
