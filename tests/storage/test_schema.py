"""Migrations on a database that is not the embedded one: what DATABASE_URL names."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fhir_server.settings import APP_ROLE, Settings, settings
from fhir_server.storage import schema
from fhir_server.supervisor import layout, postgres
from tests.architecture.catalog import faults


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings whose DATABASE_URL names an empty database and a user who may make roles, on the run's cluster."""
    place = layout.prepare(Path(settings.data_dir))
    url = Settings()
    url.database_url = f"host={place.postgres_socket} user={postgres.SUPERUSER} dbname=own"
    with postgres.connect(place) as db:
        db.execute("CREATE DATABASE own")
    yield url
    with postgres.connect(place) as db:
        db.execute("DROP DATABASE own WITH (FORCE)")


def test_a_superusers_url_is_migrated_and_used_in_the_bound_role(own: Settings) -> None:
    with pytest.raises(schema.UnsafeDatabase, match="migrate"):
        schema.check(own.app_conninfo())
    for _ in range(2):
        schema.migrate(own.owner_conninfo(), APP_ROLE, own.app_user())
    schema.check(own.app_conninfo())
    with psycopg.connect(own.app_conninfo()) as db:
        assert db.execute("SELECT current_user").fetchone() == (APP_ROLE,)
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (schema.newest_version(),)
        db.execute("SET LOCAL app.tenant = '1'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            db.execute("INSERT INTO load_progress VALUES (2, 'another tenant', 0)")
    with psycopg.connect(own.owner_conninfo()) as db:
        # All that differs from the embedded database is whose the tables are.
        assert {fault.rpartition(":")[2] for fault in faults(db)} == {" owned by postgres"}


def test_a_user_who_may_not_make_roles_is_told_what_to_ask_for(own: Settings) -> None:
    place = layout.prepare(Path(settings.data_dir))
    ident = place.postgres / "pg_ident.conf"
    before = ident.read_text()
    caller = before.splitlines()[0].split()[1]
    ident.write_text(f'{before}salam {caller} "plain"\n')
    try:
        with postgres.connect(place) as db:
            db.execute("CREATE ROLE plain LOGIN")
            db.execute("SELECT pg_reload_conf()")
        own.database_url = own.database_url.replace(f"user={postgres.SUPERUSER}", "user=plain")
        with pytest.raises(schema.UnsafeDatabase, match='GRANT fhir_app TO "plain"'):
            _eventually_migrate(own)
    finally:
        ident.write_text(before)
        with postgres.connect(place) as db:
            db.execute("DROP ROLE plain")
            db.execute("SELECT pg_reload_conf()")


def _eventually_migrate(own: Settings) -> None:
    # The reloaded map reaches new connections a moment later.
    for _ in range(100):
        try:
            schema.migrate(own.owner_conninfo(), APP_ROLE, own.app_user())
        except psycopg.OperationalError:
            continue
        return
