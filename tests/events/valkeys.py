"""A Valkey of a test's own, which it may kill."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from fhir_server.settings import settings
from fhir_server.supervisor import binaries, layout


class Valkey:
    """A server on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None
        place = layout.prepare(Path(settings.data_dir))
        self._command = [str(binaries.valkey_server(place)), "--port", "0", "--unixsocket", str(self.socket)]
        self._command += ["--dir", str(folder), "--save", "", "--daemonize", "no"]

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 90
        while True:
            try:
                with redis.Redis(unix_socket_path=str(self.socket)) as client:
                    client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, as the power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None


@contextmanager
def valkey_apart() -> Iterator[Valkey]:
    """A running server; nothing else uses it."""
    folder = Path(tempfile.mkdtemp(prefix="salam-valkey-", dir="/tmp"))
    valkey = Valkey(folder)
    try:
        valkey.start()
        yield valkey
    finally:
        valkey.kill()
        shutil.rmtree(folder, ignore_errors=True)
