"""Migrations, and the check that row-level security binds the role that the engine uses."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, pool

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 5_204_201_407
_ROLE_FACTS = """
    SELECT r.rolsuper OR r.rolbypassrls, pg_has_role(current_user, c.relowner, 'MEMBER'), c.relforcerowsecurity
    FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = 'public.resource'::regclass
"""


class UnsafeDatabase(Exception):
    """The database would not keep tenants apart, or is not migrated; the text says what to change."""


def migrate(conninfo: str, app_role: str, app_user: str) -> None:
    """Bring the tables up to date as the user of `conninfo`; several processes may call it at once.

    Makes the role `app_role` when it is missing, and lets `app_user` take it. Raises `UnsafeDatabase`.
    """
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=pool.NullPool)
    with psycopg.connect(conninfo, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _app_role(guard, app_role, app_user)
        with engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        guard.execute(sql.SQL("GRANT SELECT ON alembic_version TO {}").format(sql.Identifier(app_role)))
    engine.dispose()


def newest_version() -> str:
    """The version that this code's migrations lead to."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def check(conninfo: str) -> None:
    """Refuse a role that row-level security does not bind. Raises `UnsafeDatabase`."""
    with psycopg.connect(conninfo) as db:
        if not db.execute("SELECT to_regclass('public.resource')").fetchone() == ("resource",):
            raise UnsafeDatabase("The database has no tables yet. Run: fhir-server migrate")
        row = db.execute(_ROLE_FACTS).fetchone()
    if row is None or row[0] or row[1] or not row[2]:
        raise UnsafeDatabase(
            "The engine's database role is a superuser, bypasses row-level security, or owns the tables: tenants would"
            " not be kept apart. See docs/howto/own-servers.md."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _app_role(db: psycopg.Connection, role: str, user: str) -> None:
    name = sql.Identifier(role)
    try:
        if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            db.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
        if db.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [user, role]).fetchone() != (True,):
            db.execute(sql.SQL("GRANT {} TO {}").format(name, sql.Identifier(user)))
    except psycopg.errors.InsufficientPrivilege:
        raise UnsafeDatabase(
            f"The migrating user may not set up the role {role}. Ask an administrator for: "
            f'CREATE ROLE {role} NOLOGIN; GRANT {role} TO "{user}"'
        ) from None
