"""Numbers of versions grow, never repeat, and tell their time."""

import threading
import time

from fhir_server.storage import clock


def test_ticks_of_many_threads_never_repeat_and_grow_in_each() -> None:
    found: list[list[int]] = [[] for _ in range(8)]

    def run(mine: list[int]) -> None:
        mine.extend(clock.tick() for _ in range(2000))

    threads = [threading.Thread(target=run, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [seq for mine in found for seq in mine]
    assert len(set(every)) == len(every)
    assert all(mine == sorted(mine) for mine in found)


def test_a_tick_is_later_than_the_version_it_replaces() -> None:
    future = clock.first_seq(time.time_ns() // 1000 + 1_000_000)
    assert clock.tick(after=future) > future


def test_the_time_of_a_tick_is_now() -> None:
    assert abs(clock.micros(clock.tick()) - time.time_ns() // 1000) < 5_000_000


def test_bounds_are_within_bigint() -> None:
    assert clock.first_seq(-(10**17)) == 0
    assert clock.first_seq(10**18) == 2**63 - 1
    assert clock.micros(clock.tick()) < 2**63
