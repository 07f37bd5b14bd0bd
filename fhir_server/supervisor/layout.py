"""Where the embedded servers keep their things, and as which account they run.

Everything lies in the data folder, in folders that only their owner enters. Three facts bend that: PostgreSQL does not
run as root, so root's servers run as the account `salam`; such an account cannot enter root's home, so then the cluster
lies in /var/lib/salam; and a socket's path holds at most 107 characters, so below a deep data folder the sockets lie in
a short private folder. In the last two cases the data folder has a link.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOCKET_LIMIT = 107
ACCOUNT = "salam"
STATE = Path("/var/lib/salam")


class CannotStart(Exception):
    """The servers cannot be started here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one instance, as real paths. `account`: whose the servers are (the caller's own unless root)."""

    data: Path
    postgres: Path
    run: Path
    logs: Path
    account: pwd.struct_passwd

    @property
    def postgres_socket(self) -> Path:
        """Folder of PostgreSQL's socket."""
        return self.run / "postgres"

    @property
    def valkey_socket(self) -> Path:
        """Valkey's socket."""
        return self.run / "valkey" / "valkey.sock"

    def popen_user(self) -> dict[str, object]:
        """Arguments that make subprocess run something as the account."""
        if os.getuid() == self.account.pw_uid:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}


def prepare(data: Path) -> Layout:
    """Make the folders of an instance, or find them again. Raises `CannotStart`."""
    data = Path(os.path.abspath(data))
    try:
        data.mkdir(parents=True, exist_ok=True)
        account = _account(data)
        foreign = account.pw_uid != os.getuid()
        data.chmod(0o711 if foreign else 0o700)
        logs = _private(data / "logs")
        home = _home(data, account)
        postgres = _private(home / "postgres", account)
        run = _run(data, home, account, foreign)
    except PermissionError as error:
        text = f"The data folder {data} belongs to somebody else ({error}). Choose another with --data."
        raise CannotStart(text) from None
    return Layout(data, postgres.resolve(), run.resolve(), logs, account)


def remove(data: Path) -> None:
    """Delete an instance's data folder and what its links point to."""
    for name in ("postgres", "run"):
        link = data / name
        if link.is_symlink():
            target = link.resolve()
            shutil.rmtree(target.parent if target.parent.parent == STATE else target, ignore_errors=True)
    shutil.rmtree(data)


def _account(data: Path) -> pwd.struct_passwd:
    try:
        if os.getuid() != 0:
            return pwd.getpwuid(os.getuid())
    except KeyError:
        raise CannotStart(
            f"The user id {os.getuid()} has no account name here, which the embedded PostgreSQL needs. "
            "Add it to /etc/passwd or set DATABASE_URL."
        ) from None
    cluster = data / "postgres"
    if cluster.exists() and cluster.stat().st_uid != 0:
        return pwd.getpwuid(cluster.stat().st_uid)
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return _make_account()


def _make_account() -> pwd.struct_passwd:
    shell = "/usr/sbin/nologin" if os.path.exists("/usr/sbin/nologin") else "/bin/false"
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "-d", str(STATE), "-s", shell, ACCOUNT],
        ["adduser", "-S", "-H", "-h", str(STATE), "-s", shell, ACCOUNT],
    ):
        if shutil.which(command[0]) and not subprocess.run(command, check=False, capture_output=True).returncode:
            return pwd.getpwnam(ACCOUNT)
    raise CannotStart(
        "PostgreSQL does not run as root, and an account for it could not be made (useradd is missing or refused). "
        f"Make a system account named {ACCOUNT}, start as another user, or set DATABASE_URL."
    )


def _home(data: Path, account: pwd.struct_passwd) -> Path:
    if _can_enter(data, account):
        return data
    link = data / "postgres"
    if link.is_symlink() and link.resolve().exists():
        return link.resolve().parent
    home = STATE / secrets.token_hex(6)
    home.mkdir(parents=True)
    STATE.chmod(0o711)
    home.chmod(0o711)
    (home / "data-folder").write_text(f"{data}\n")
    for name in ("postgres", "run"):
        (data / name).unlink(missing_ok=True)
        (data / name).symlink_to(home / name)
    return home


def _can_enter(path: Path, account: pwd.struct_passwd) -> bool:
    if account.pw_uid == os.getuid():
        return True
    for folder in path.parents:
        status = folder.stat()
        mine = status.st_uid == account.pw_uid and status.st_mode & 0o100
        if not (mine or status.st_mode & 0o001):
            return False
    return True


def _run(data: Path, home: Path, account: pwd.struct_passwd, foreign: bool) -> Path:
    run = home / "run"
    if len(str(run / "postgres" / ".s.PGSQL.5432.lock")) > SOCKET_LIMIT:
        run = data / "run"
        if not (run.is_symlink() and run.resolve().is_dir() and run.resolve().stat().st_uid == os.getuid()):
            run.unlink(missing_ok=True)
            run.symlink_to(tempfile.mkdtemp(prefix="salam-", dir="/tmp"))
    run.resolve().mkdir(exist_ok=True)
    run.chmod(0o711 if foreign else 0o700)
    _private(run / "postgres", account)
    _private(run / "valkey", account)
    return run


def _private(path: Path, account: pwd.struct_passwd | None = None) -> Path:
    path.mkdir(exist_ok=True, mode=0o700)
    if account is not None and path.stat().st_uid != account.pw_uid:
        os.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(0o700)
    return path
