"""Where the servers keep their things."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.supervisor.layout import SOCKET_LIMIT, CannotStart, prepare, remove

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root's servers run as another account")


@pytest.fixture(autouse=True)
def _tidy(tmp_path: Path) -> Iterator[None]:
    """Remove also what lies outside the test's own folder."""
    yield
    for data in (tmp_path / "data", tmp_path / "home" / "data"):
        if data.exists():
            remove(data)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    layout = prepare(tmp_path / "data")
    assert _mode(layout.postgres) == _mode(layout.postgres_socket) == _mode(layout.logs) == 0o700
    assert _mode(layout.valkey_socket.parent) == 0o700
    assert layout.postgres.stat().st_uid == layout.postgres_socket.stat().st_uid == layout.account.pw_uid


def test_it_is_found_again(tmp_path: Path) -> None:
    assert prepare(tmp_path / "data") == prepare(tmp_path / "data")


def test_sockets_of_a_deep_folder_lie_in_a_short_one(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 60) / ("e" * 60)
    layout = prepare(data)
    try:
        assert len(str(layout.postgres_socket / ".s.PGSQL.5432.lock")) <= SOCKET_LIMIT
        assert prepare(data) == layout
        assert (data / "run").resolve() == layout.run
    finally:
        remove(data)
    assert not layout.run.exists()
    assert not data.exists()


def test_a_deep_folder_gets_new_sockets_when_the_short_one_was_cleaned_away(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 60) / ("e" * 60)
    first = prepare(data)
    for path in sorted(first.run.rglob("*"), reverse=True):
        path.rmdir()
    first.run.rmdir()
    second = prepare(data)
    assert second.run.is_dir()
    assert second.postgres_socket.is_dir()
    remove(data)


@needs_root
def test_root_never_runs_the_servers_itself(tmp_path: Path) -> None:
    layout = prepare(tmp_path / "data")
    assert layout.account.pw_uid != 0
    assert layout.popen_user()["user"] == layout.account.pw_uid


@needs_root
def test_below_a_folder_that_the_account_cannot_enter_the_cluster_lies_elsewhere(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    layout = prepare(closed / "data")
    try:
        assert not layout.postgres.is_relative_to(closed)
        assert prepare(closed / "data") == layout
    finally:
        remove(closed / "data")
    assert not layout.postgres.exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may enter everywhere")
def test_somebody_elses_folder_is_refused_with_advice() -> None:
    with pytest.raises(CannotStart, match="--data"):
        prepare(Path("/proc/1/salam"))
