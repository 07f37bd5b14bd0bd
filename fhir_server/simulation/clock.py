"""Simulated time: minutes since the day began, of which `speed` pass in a minute of the server's."""

import threading
import time


class Clock:
    """The server lives in real time, so the day itself is compressed: its time stamps are the server's."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.stopped = threading.Event()
        self._begin = time.monotonic()

    def begin(self) -> None:
        """The day begins now."""
        self._begin = time.monotonic()

    def minute(self) -> float:
        """Simulated minutes since the beginning."""
        return (time.monotonic() - self._begin) * self.speed / 60

    def real(self, minutes: float) -> float:
        """How many real seconds these simulated minutes take."""
        return minutes * 60 / self.speed

    def wait(self, minutes: float) -> bool:
        """Let so many simulated minutes pass; False when the simulation was stopped meanwhile."""
        return not self.stopped.wait(max(self.real(minutes), 0.0))

    def wait_until(self, minute: float) -> bool:
        """Let time pass until a minute of the day; False when the simulation was stopped meanwhile."""
        return self.wait(minute - self.minute())
