-- Definitions by canonical url, packages, and code systems of any size.

-- Of every stored resource that others name by a canonical url: where it is. The content is the resource's. `kind`:
-- derivation of a StructureDefinition, content of a CodeSystem; `subject`: the type that a StructureDefinition is about,
-- the system that a supplement adds to; `package`: `name#version` where a package brought it.
CREATE TABLE definition (
    tenant_id integer NOT NULL,
    type_id   smallint NOT NULL,
    url       text COLLATE "C" NOT NULL,
    rid       bigint NOT NULL,
    version   text COLLATE "C" NOT NULL,
    revision  integer NOT NULL,
    id        text COLLATE "C" NOT NULL,
    status    text NOT NULL,
    kind      text NOT NULL,
    subject   text NOT NULL,
    package   text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, type_id, url, rid)
);
CREATE INDEX definition_by_resource ON definition (tenant_id, rid);

-- What stood there before: type ids are places in R4's sorted list of types.
ALTER TABLE resource NO FORCE ROW LEVEL SECURITY;
INSERT INTO definition (tenant_id, type_id, url, rid, version, revision, id, status, kind, subject, package)
    SELECT tenant_id, type_id, body::jsonb ->> 'url', rid, coalesce(body::jsonb ->> 'version', ''), version, id,
           coalesce(body::jsonb ->> 'status', ''),
           coalesce(body::jsonb ->> 'derivation', body::jsonb ->> 'content', ''),
           CASE WHEN type_id = 128 THEN coalesce(body::jsonb ->> 'type', '')
                ELSE coalesce(body::jsonb ->> 'supplements', '') END, ''
    FROM resource
    WHERE type_id = ANY (ARRAY[13, 22, 27, 65, 98, 112, 123, 128, 144]::smallint[]) AND NOT deleted AND body::jsonb ? 'url';
ALTER TABLE resource FORCE ROW LEVEL SECURITY;

-- Packages that a tenant has installed. `sources`: the names of its resources, as `Type/id`.
CREATE TABLE package (
    tenant_id    integer NOT NULL,
    name         text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    digest       bytea NOT NULL,
    manifest     jsonb NOT NULL,
    resources    integer NOT NULL,
    asked        boolean NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name, version)
);

-- Code systems that were imported. Tenant 0 holds those of the site, which every tenant reads; a tenant's own come first.
-- Content never changes once it is active: a new release is a new row.
CREATE TABLE concept_system (
    tenant_id    integer NOT NULL,
    system_id    integer GENERATED ALWAYS AS IDENTITY,
    url          text COLLATE "C" NOT NULL,
    version      text COLLATE "C" NOT NULL,
    status       text NOT NULL CHECK (status IN ('loading', 'active', 'retired')),
    concepts     integer NOT NULL DEFAULT 0,
    described    jsonb NOT NULL,
    source       text NOT NULL,
    digest       bytea NOT NULL,
    imported_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, system_id)
);
CREATE UNIQUE INDEX concept_system_version ON concept_system (tenant_id, url, version) WHERE status <> 'retired';

-- `number`: place in the hierarchy, depth first, so that a branch is a run of numbers; `below`: the numbers of all
-- descendants, whichever way they come; `flags`: 1 inactive, 2 only groups others.
CREATE TABLE concept (
    tenant_id integer NOT NULL,
    system_id integer NOT NULL,
    number    integer NOT NULL,
    code      text COLLATE "C" NOT NULL,
    display   text NOT NULL,
    flags     smallint NOT NULL,
    parents   integer[] NOT NULL,
    below     int4multirange NOT NULL,
    detail    text NOT NULL,
    PRIMARY KEY (tenant_id, system_id, number)
);
CREATE UNIQUE INDEX concept_code ON concept (tenant_id, system_id, code);

-- Sets of concepts by what they have in common: kind w a word of a text, x the beginning of so many words that their
-- union is kept, p a property's value (`property`, US, value), c a code in small letters where it is written in both.
-- `numbers`: ranges as pairs of little-endian int4 (first, last + 1), ascending.
CREATE TABLE concept_posting (
    tenant_id integer NOT NULL,
    system_id integer NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    key       text COLLATE "C" NOT NULL,
    numbers   bytea NOT NULL,
    PRIMARY KEY (tenant_id, system_id, kind, key)
);

-- Imports: begun, interrupted, gone on with. `place`: what is stored already of a phase.
CREATE TABLE terminology_job (
    tenant_id  integer NOT NULL,
    id         text COLLATE "C" NOT NULL,
    format     text NOT NULL,
    source     text NOT NULL,
    options    jsonb NOT NULL DEFAULT '{}',
    status     text NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    phase      text NOT NULL DEFAULT '',
    done       bigint NOT NULL DEFAULT 0,
    total      bigint NOT NULL DEFAULT 0,
    system_id  integer,
    message    text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

-- The codes that a tenant's resources use, by search parameter: what `:in`, `:below` and their kin join with concepts.
-- `system` '': of a `code` element, which has none. A row of param 0 says that the codes of resources from before this
-- table are not gathered yet.
CREATE TABLE used_code (
    tenant_id integer NOT NULL,
    param     integer NOT NULL,
    system    text COLLATE "C" NOT NULL,
    code      text COLLATE "C" NOT NULL,
    key       bigint NOT NULL,
    PRIMARY KEY (tenant_id, param, system, code)
);

ALTER TABLE resource NO FORCE ROW LEVEL SECURITY;
INSERT INTO used_code (tenant_id, param, system, code, key) SELECT DISTINCT tenant_id, 0, '', '', 0 FROM resource;
ALTER TABLE resource FORCE ROW LEVEL SECURITY;

-- Transitive closure tables that clients keep up by `$closure`. https://hl7.org/fhir/R4/terminology-service.html#closure
CREATE TABLE closure_name (
    tenant_id integer NOT NULL,
    name      text COLLATE "C" NOT NULL,
    version   integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE closure_concept (
    tenant_id integer NOT NULL,
    name      text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,
    code      text COLLATE "C" NOT NULL,
    version   integer NOT NULL,
    PRIMARY KEY (tenant_id, name, system, code)
);

SELECT guard_table(name) FROM unnest(ARRAY['definition', 'package', 'concept_system', 'concept', 'concept_posting',
                                           'terminology_job', 'used_code', 'closure_name', 'closure_concept']) AS n(name);

-- Of the site's content everybody reads and only the site writes: to change a row, the permissive policy of all commands
-- must hold, and that is the tenant's own.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['concept_system', 'concept', 'concept_posting'] LOOP
        EXECUTE format('DROP POLICY tenant_only ON %I', name);
        EXECUTE format('CREATE POLICY site_read ON %I AS PERMISSIVE FOR SELECT USING (tenant_id = 0)', name);
        EXECUTE format('CREATE POLICY tenant_only ON %I AS RESTRICTIVE
                        USING (tenant_id = 0 OR tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
    END LOOP;
END $$;

-- An import makes the statistics that the planner needs to find one concept among 350,000 by the right index.
GRANT MAINTAIN ON concept, concept_posting TO fhir_app;
