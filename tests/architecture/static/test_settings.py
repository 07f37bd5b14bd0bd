"""Every setting is documented, and read from the environment as its type."""

from pathlib import Path

import pytest

from fhir_server.settings import Settings, as_markdown

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_is_the_table() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == as_markdown(), (
        "write it anew: python -c 'from fhir_server.settings import as_markdown; print(as_markdown(), end=\"\")'"
    )


def test_values_come_from_the_environment_as_their_type() -> None:
    settings = Settings()
    settings.load({"PORT": "9", "HOST": "::1", "SALAM_PAGE_SIZE": ""})
    assert (settings.port, settings.host, settings.page_size) == (9, "::1", 20)


def test_a_value_of_the_wrong_kind_names_its_variable() -> None:
    with pytest.raises(ValueError, match="SALAM_PAGE_SIZE must be a whole number"):
        Settings().load({"SALAM_PAGE_SIZE": "many"})


def test_the_engine_always_takes_the_bound_role() -> None:
    settings = Settings()
    settings.database_url = "postgresql://somebody@db/clinic?options=-c%20search_path%3Dpublic"
    conninfo = settings.app_conninfo()
    assert "-c role=fhir_app" in conninfo
    assert "-c search_path=public" in conninfo


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    settings = Settings()
    settings.data_dir = str(tmp_path)
    key = settings.secret_key()
    assert len(key) == 32
    assert (tmp_path / "secret.key").read_bytes() == key
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert settings.secret_key() == key
