"""The embedded Valkey: a wake-up channel, reached only over a socket. Nothing in it has to survive."""

import time

import redis

from fhir_server.supervisor.binaries import valkey_server
from fhir_server.supervisor.layout import CannotStart, Layout


def command(layout: Layout) -> list[str]:
    """What to run for the server."""
    socket = layout.valkey_socket
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(socket.parent),
        "save": "",
        "appendonly": "no",
        "maxmemory": "128mb",
        "maxmemory-policy": "volatile-ttl",
        "daemonize": "no",
    }
    return [str(valkey_server(layout)), *(part for key, value in options.items() for part in (f"--{key}", value))]


def wait_ready(layout: Layout, seconds: float = 20.0) -> None:
    """Wait until the server answers. Raises `CannotStart`."""
    deadline = time.monotonic() + seconds
    client = redis.Redis(unix_socket_path=str(layout.valkey_socket))
    while True:
        try:
            client.ping()
            client.close()
            return
        except redis.RedisError:
            if time.monotonic() > deadline:
                raise CannotStart(f"Valkey does not answer; see {layout.logs / 'valkey.log'}") from None
            time.sleep(0.02)
