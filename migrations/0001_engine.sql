-- The tables of the engine. Every key begins with tenant_id; every tenant table has forced row-level security with the
-- tenant predicate in the permissive policy and again in a restrictive one (docs/decisions/0002).

CREATE TABLE tenant (
    tenant_id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug             text COLLATE "C" NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name             text NOT NULL,
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    registry_version integer NOT NULL DEFAULT 1,
    settings         jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE clock_node AS integer MAXVALUE 4095 MINVALUE 0 CYCLE;

CREATE FUNCTION app_tenant() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT current_setting('app.tenant')::integer $$;

CREATE TABLE access_token (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    scope      text NOT NULL,
    client_id  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, hash)
);

CREATE TABLE resource (
    tenant_id    integer NOT NULL,
    rid          bigint NOT NULL,
    self_key     bigint NOT NULL,
    type_id      smallint NOT NULL,
    version      integer NOT NULL,
    deleted      boolean NOT NULL DEFAULT false,
    method       "char" NOT NULL,
    last_updated timestamptz NOT NULL,
    ts           timestamptz NOT NULL,
    seq          bigint NOT NULL,
    id           text COLLATE "C" NOT NULL,
    keys         bigint[] NOT NULL,
    body         text NOT NULL,
    PRIMARY KEY (tenant_id, rid)
);
CREATE UNIQUE INDEX resource_identity ON resource (tenant_id, self_key, type_id, id);
CREATE INDEX resource_updated ON resource (tenant_id, type_id, last_updated, rid) WHERE NOT deleted;

CREATE TABLE resource_history (
    tenant_id    integer NOT NULL,
    rid          bigint NOT NULL,
    version      integer NOT NULL,
    method       "char" NOT NULL,
    last_updated timestamptz NOT NULL,
    seq          bigint NOT NULL,
    body         text NOT NULL,
    PRIMARY KEY (tenant_id, rid, version)
);

CREATE TABLE token (
    tenant_id integer NOT NULL,
    key       bigint NOT NULL,
    ts        timestamptz NOT NULL,
    rid       bigint NOT NULL,
    PRIMARY KEY (tenant_id, key, ts, rid)
);

CREATE TABLE reference (
    tenant_id integer NOT NULL,
    param     integer NOT NULL,
    target    bigint NOT NULL,
    ts        timestamptz NOT NULL,
    rid       bigint NOT NULL,
    PRIMARY KEY (tenant_id, target, param, ts, rid)
);
CREATE INDEX reference_by_resource ON reference (tenant_id, rid, param);

CREATE TABLE date (
    tenant_id integer NOT NULL,
    param     integer NOT NULL,
    lo        timestamptz NOT NULL,
    hi        timestamptz NOT NULL,
    rid       bigint NOT NULL,
    long      boolean NOT NULL,
    PRIMARY KEY (tenant_id, param, lo, hi, rid)
);
CREATE INDEX date_by_resource ON date (tenant_id, rid, param);
CREATE INDEX date_long ON date (tenant_id, param, hi, lo, rid) WHERE long;

CREATE TABLE string (
    tenant_id integer NOT NULL,
    param     integer NOT NULL,
    val       text COLLATE "C" NOT NULL,
    rid       bigint NOT NULL,
    PRIMARY KEY (tenant_id, param, val, rid)
);
CREATE INDEX string_by_resource ON string (tenant_id, rid, param);

CREATE TABLE quantity (
    tenant_id integer NOT NULL,
    param     integer NOT NULL,
    unit_key  bigint NOT NULL,
    lo        double precision NOT NULL,
    hi        double precision NOT NULL,
    rid       bigint NOT NULL,
    PRIMARY KEY (tenant_id, param, unit_key, lo, hi, rid)
);
CREATE INDEX quantity_by_resource ON quantity (tenant_id, rid, param);

CREATE TABLE change (
    tenant_id integer NOT NULL,
    seq       bigint NOT NULL,
    rid       bigint NOT NULL,
    type_id   smallint NOT NULL,
    version   integer NOT NULL,
    method    "char" NOT NULL,
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX change_by_type ON change (tenant_id, type_id, seq);

CREATE TABLE search_parameter_job (
    tenant_id  integer NOT NULL,
    type       text NOT NULL,
    code       text NOT NULL,
    url        text NOT NULL,
    status     text NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'failed')),
    done_rows  bigint NOT NULL DEFAULT 0,
    total_rows bigint NOT NULL DEFAULT 0,
    last_rid   bigint NOT NULL DEFAULT 0,
    message    text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, type, code)
);

CREATE TABLE load_progress (
    tenant_id integer NOT NULL,
    source    text NOT NULL,
    position  bigint NOT NULL,
    outcome   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, source)
);

-- Called first in every transaction, after SET LOCAL app.tenant. Raises SA401 when the token is not valid now, SA403 when
-- the tenant is suspended, SA409 when the caller's picture of the tenant's definitions is older than the tenant's.
CREATE FUNCTION app_enter(p_tenant integer, p_hash bytea, p_registry integer) RETURNS void LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    t record;
BEGIN
    SELECT status, registry_version INTO t FROM tenant WHERE tenant_id = p_tenant;
    IF t IS NULL OR t.status <> 'active' THEN
        RAISE EXCEPTION 'tenant is not active' USING ERRCODE = 'SA403';
    END IF;
    IF p_hash IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM access_token a
        WHERE a.tenant_id = p_tenant AND a.hash = p_hash AND a.revoked_at IS NULL AND a.expires_at > now()
    ) THEN
        RAISE EXCEPTION 'token is not valid' USING ERRCODE = 'SA401';
    END IF;
    IF t.registry_version <> p_registry THEN
        RAISE EXCEPTION 'definitions have changed' USING ERRCODE = 'SA409';
    END IF;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['access_token', 'resource', 'resource_history', 'token', 'reference', 'date', 'string',
                                'quantity', 'change', 'search_parameter_job', 'load_progress'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_allow ON %I AS PERMISSIVE
                        USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
        EXECUTE format('CREATE POLICY tenant_only ON %I AS RESTRICTIVE
                        USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON tenant TO fhir_app;
GRANT USAGE ON SEQUENCE clock_node TO fhir_app;
