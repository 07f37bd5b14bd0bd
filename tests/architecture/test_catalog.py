"""No table, key, policy, view, grant or role lets one tenant see another's rows."""

import psycopg
import pytest

from fhir_server.settings import settings
from fhir_server.storage import schema
from tests.architecture.catalog import faults

_GOOD = """
    CREATE TABLE good (tenant_id integer NOT NULL, id text, PRIMARY KEY (tenant_id, id));
    ALTER TABLE good ENABLE ROW LEVEL SECURITY; ALTER TABLE good FORCE ROW LEVEL SECURITY;
    ALTER TABLE good OWNER TO fhir_owner;
    CREATE POLICY a ON good USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant());
    CREATE POLICY b ON good AS RESTRICTIVE USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant());
"""
_BAD = {
    "no row-level security": "ALTER TABLE resource DISABLE ROW LEVEL SECURITY",
    "not forced": "ALTER TABLE resource NO FORCE ROW LEVEL SECURITY",
    "a second permissive policy": "CREATE POLICY open ON resource USING (true)",
    "no restrictive policy": "DROP POLICY tenant_only ON resource",
    "a weak predicate": "ALTER POLICY tenant_allow ON resource USING (tenant_id > 0)",
    "a weak check": "ALTER POLICY tenant_only ON resource WITH CHECK (true)",
    "a policy for one role": "ALTER POLICY tenant_allow ON resource TO fhir_app",
    "a key without the tenant": "CREATE UNIQUE INDEX bad ON resource (rid)",
    "the tenant second": "CREATE INDEX bad ON resource (rid, tenant_id)",
    "a table without the tenant": "CREATE TABLE bad (id text); ALTER TABLE bad OWNER TO fhir_owner",
    "a table of the app's role": "CREATE TABLE tenantless (tenant_id integer NOT NULL); "
    "ALTER TABLE tenantless OWNER TO fhir_app",
    "a foreign key over tenants": "ALTER TABLE token ADD CONSTRAINT bad FOREIGN KEY (rid, tenant_id)"
    " REFERENCES resource (rid, tenant_id)",
    "a numeric key": "ALTER TABLE quantity ADD n numeric; CREATE INDEX bad ON quantity (tenant_id, n)",
    "an index of documents": "CREATE INDEX bad ON tenant USING gin (settings)",
    "an index of an expression": "CREATE INDEX bad ON resource (tenant_id, (lower(id)))",
    "a cascade": "CREATE UNIQUE INDEX other ON resource (tenant_id, rid, version); ALTER TABLE token ADD CONSTRAINT bad"
    " FOREIGN KEY (tenant_id, rid) REFERENCES resource (tenant_id, rid) ON DELETE CASCADE",
    "a grant of a column": "GRANT SELECT (body) ON resource TO PUBLIC",
    "tables made by the app": "GRANT CREATE ON SCHEMA public TO fhir_app",
    "a view": "CREATE VIEW everything AS SELECT * FROM resource",
    "a materialized view": "CREATE MATERIALIZED VIEW everything AS SELECT * FROM resource",
    "a grant to everybody": "GRANT SELECT ON resource TO PUBLIC",
    "a right to maintain": "GRANT MAINTAIN ON resource TO fhir_app",
    "a right to truncate": "GRANT TRUNCATE ON resource TO fhir_app",
    "a security definer": "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "a role over policies": "ALTER ROLE fhir_app BYPASSRLS",
    "the site's rows written by a tenant": "ALTER POLICY tenant_only ON concept WITH CHECK (true)",
    "the site's rows changed by a tenant": "ALTER POLICY tenant_allow ON concept USING (true)",
    "the site's rows deleted by a tenant": "DROP POLICY site_read ON concept; CREATE POLICY site_read ON concept"
    " USING (tenant_id = 0)",
    "the app as owner": "GRANT fhir_owner TO fhir_app",
}


def test_the_migrated_database_keeps_the_pattern(scratch_database: str) -> None:
    with psycopg.connect(scratch_database) as db:
        assert faults(db) == []


def test_a_good_new_table_is_accepted(scratch_database: str) -> None:
    with psycopg.connect(scratch_database) as db:
        db.execute(_GOOD)
        assert faults(db) == []


def test_every_break_of_the_pattern_is_found(scratch_database: str) -> None:
    for what, statements in _BAD.items():
        with psycopg.connect(scratch_database) as db:
            if "REFERENCES resource (rid" in statements:
                db.execute("CREATE UNIQUE INDEX other ON resource (rid, tenant_id)")
            db.execute(statements)
            assert faults(db), what
            db.rollback()


def test_the_engine_refuses_a_role_that_policies_do_not_bind(scratch_database: str) -> None:
    with pytest.raises(schema.UnsafeDatabase, match="tenants would not be kept apart"):
        schema.check(scratch_database)
    owner = scratch_database.replace("user=postgres", "user=fhir_owner")
    with pytest.raises(schema.UnsafeDatabase, match="tenants would not be kept apart"):
        schema.check(owner)
    schema.check(settings.app_conninfo())


def test_the_engine_refuses_a_database_without_tables() -> None:
    with pytest.raises(schema.UnsafeDatabase, match="fhir-server migrate"):
        schema.check(psycopg.conninfo.make_conninfo(settings.owner_conninfo(), dbname="postgres", user="postgres"))


def test_without_a_tenant_nothing_is_readable() -> None:
    with psycopg.connect(settings.app_conninfo()) as db, pytest.raises(psycopg.Error, match="app.tenant"):
        db.execute("SELECT count(*) FROM resource")
