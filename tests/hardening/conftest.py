"""A listener on loopback that the server must never call."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    """A host that nobody may call: `127.0.0.1:PORT`."""
    called: list[object] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                peer, where = server.accept()
            except OSError:
                return
            called.append(where)
            peer.close()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    time.sleep(0.1)
    server.close()
    assert called == []
