"""How the tests are shared out to pytest's processes: what belongs together goes to one of them, what takes long first.

xdist's own way begins with the modules of most tests and ends with those whose few tests take longest, while the other
processes have nothing to do; and it has every process make the demo clinic of every room.
"""

from xdist.scheduler import LoadScopeScheduling

# What waits much (for processes that start, for storms, for a browser) or has much to do, longest first; before it what
# looks at every tenant of the run while these are few.
_EARLY = (
    "tests/server/test_worker.py", "tests/ui/test_every_page.py", "tests/reliability/test_crashes.py", "tests/supervisor/",
    "tests/ui/manage", "tests/ui/waiting", "tests/ui/portal", "tests/simulation/", "tests/isolation/test_noninterference.py",
    "tests/signin/test_browser.py", "tests/features/attacks/", "tests/ui/", "tests/browser/", "tests/events/", "tests/demo/",
    "tests/isolation/", "tests/features/queue/test_races.py", "tests/reliability/", "tests/features/scheduling/test_booking_storm.py",
)  # fmt: skip


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's distribution by scope, with shares of this run's own."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def share_of(nodeid: str) -> str:
    """What one process gets together with a test: its module, or its whole room of the pages, whose modules share a
    clinic and a browser."""
    module = nodeid.partition("::")[0]
    folder = module.rpartition("/")[0]
    return folder if folder.startswith(("tests/ui/", "tests/browser")) else module


def turn(nodeid: str) -> int:
    """When a test's share is begun: 0 is first."""
    return next((number for number, begin in enumerate(_EARLY) if nodeid.startswith(begin)), len(_EARLY))
