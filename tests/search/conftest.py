"""A database apart, whose statistics are what a test made of them."""

from collections.abc import Iterator

import psycopg
import pytest

from fhir_server.settings import settings
from fhir_server.storage.session import Session

# What processes remember by a tenant's number must not be taken for that of a tenant in the tests' own database.
_FIRST_TENANT = 1_000_000


@pytest.fixture
def apart(scratch_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session in a database of the test's own, which `Session(settings.app_conninfo())` reaches too, and in which
    nothing is analysed but by the test."""
    with psycopg.connect(scratch_database, autocommit=True) as owner:
        owner.execute(f"ALTER TABLE tenant ALTER tenant_id RESTART WITH {_FIRST_TENANT}")
        for (name,) in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            owner.execute(f'ALTER TABLE "{name}" SET (autovacuum_enabled = off)')
    monkeypatch.setattr(settings, "database_url", scratch_database)
    db = Session(settings.app_conninfo())
    yield db
    db.close()


def analyse(*tables: str) -> None:
    """Make the statistics of tables of the database apart; of all when none is named."""
    with psycopg.connect(settings.database_url, autocommit=True) as owner:
        owner.execute(f"ANALYZE {', '.join(tables)}".encode())
