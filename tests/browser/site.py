"""The SMART app as its own web site: static files on a port of this machine, with the library from npm."""

import fcntl
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fhir_server.settings import ROOT

_APP = Path(__file__).parent / "app"
_LIBRARY = Path("node_modules/fhirclient/build/fhir-client.js")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def installed() -> Path:
    """A folder with the app and the library that its lock file names, made once for each content of that file.

    Of the library only its browser build is used, which needs nothing else: the lock file replaces a dependency for
    React Native, which brings 900 packages, by an empty one.
    """
    digest = hashlib.sha256((_APP / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / ".pytest_cache" / f"smart-app-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "fhir-client.js").exists():
            _install(folder)
        for path in (*_APP.glob("*.html"), *_APP.glob("*.js")):
            shutil.copy(path, folder / path.name)
    return folder


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_APP / name, folder / name)
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode:
        raise OSError(f"npm could not install the SMART library: {done.stderr.strip()[-300:]}")
    shutil.copy(folder / _LIBRARY, folder / "fhir-client.js")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The app's origin. It is `localhost` while the server is 127.0.0.1: two sites, as in life."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
