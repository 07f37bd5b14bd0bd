-- Users, OAuth clients, grants and tokens, consent rules, the audit log, keys. The pattern of tables is that of 0001:
-- tenant_id leads every key, forced row-level security with a permissive and a restrictive policy.
-- Secrets stand here as SHA-256 or argon2id hashes, or sealed under a key of the tenant (columns named *_sealed).

-- Whether the tenant has consent rules at all; set in the same statement that raises registry_version.
ALTER TABLE tenant ADD COLUMN has_consents boolean NOT NULL DEFAULT false;

CREATE TABLE user_account (
    tenant_id           integer NOT NULL,
    user_id             text COLLATE "C" NOT NULL,
    subject             text COLLATE "C" NOT NULL,
    email               text COLLATE "C" NOT NULL,
    name                text NOT NULL DEFAULT '',
    language            text NOT NULL DEFAULT '',
    role                text NOT NULL,
    fhir_user           text COLLATE "C",
    patients            text[] NOT NULL DEFAULT '{}',
    status              text NOT NULL DEFAULT 'active' CHECK (status IN ('invited', 'active', 'disabled')),
    password_hash       text,
    password_changed_at timestamptz,
    email_verified_at   timestamptz,
    totp_sealed         bytea,
    totp_last_step      bigint NOT NULL DEFAULT 0,
    recovery_hashes     bytea[] NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);
CREATE UNIQUE INDEX user_account_email ON user_account (tenant_id, email);
CREATE UNIQUE INDEX user_account_subject ON user_account (tenant_id, subject);

CREATE TABLE user_passkey (
    tenant_id     integer NOT NULL,
    credential_id bytea NOT NULL,
    user_id       text COLLATE "C" NOT NULL,
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL DEFAULT 0,
    name          text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    PRIMARY KEY (tenant_id, credential_id)
);
CREATE INDEX user_passkey_user ON user_passkey (tenant_id, user_id);

-- Six-digit codes and invitation links: one live one for each purpose.
CREATE TABLE user_code (
    tenant_id  integer NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    purpose    text NOT NULL,
    hash       bytea NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (tenant_id, user_id, purpose)
);

-- Mail waiting to be sent (codes, invitations, security notices). The row is the truth, the worker is woken.
CREATE TABLE mail (
    tenant_id    integer NOT NULL,
    mail_id      bigint NOT NULL,
    sealed       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    next_attempt timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    sent_at      timestamptz,
    failed_at    timestamptz,
    PRIMARY KEY (tenant_id, mail_id)
);
CREATE INDEX mail_waiting ON mail (tenant_id, next_attempt) WHERE sent_at IS NULL AND failed_at IS NULL;

CREATE TABLE web_session (
    tenant_id    integer NOT NULL,
    hash         bytea NOT NULL,
    user_id      text COLLATE "C" NOT NULL,
    -- The password was right, the second factor or the proof of the address is still to come.
    pending      boolean NOT NULL DEFAULT false,
    amr          text[] NOT NULL DEFAULT '{}',
    auth_time    timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    agent        text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX web_session_user ON web_session (tenant_id, user_id);

-- Counted attempts: the fallback of rate limits when Valkey is away, and lock-outs, which must survive it.
CREATE TABLE throttle (
    tenant_id  integer NOT NULL,
    key        bytea NOT NULL,
    count      integer NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX throttle_expires ON throttle (tenant_id, expires_at);

CREATE TABLE oauth_client (
    tenant_id      integer NOT NULL,
    client_id      text COLLATE "C" NOT NULL,
    metadata       jsonb NOT NULL,
    secret_hashes  bytea[] NOT NULL DEFAULT '{}',
    access_hash    bytea,
    status         text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, client_id)
);

-- What a user (or, for a back-end system, the operator) let a client do: the family of its codes and tokens.
CREATE TABLE oauth_grant (
    tenant_id    integer NOT NULL,
    grant_id     text COLLATE "C" NOT NULL,
    client_id    text COLLATE "C" NOT NULL,
    user_id      text COLLATE "C",
    session_hash bytea,
    scope        text NOT NULL,
    context      jsonb NOT NULL DEFAULT '{}',
    purpose      text NOT NULL DEFAULT 'TREAT',
    nonce        text,
    amr          text[] NOT NULL DEFAULT '{}',
    auth_time    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_id, grant_id)
);
CREATE INDEX oauth_grant_user ON oauth_grant (tenant_id, user_id);
CREATE INDEX oauth_grant_client ON oauth_grant (tenant_id, client_id);

CREATE TABLE oauth_code (
    tenant_id    integer NOT NULL,
    hash         bytea NOT NULL,
    grant_id     text COLLATE "C" NOT NULL,
    client_id    text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    challenge    text NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX oauth_code_expires ON oauth_code (tenant_id, expires_at);

CREATE TABLE refresh_token (
    tenant_id        integer NOT NULL,
    hash             bytea NOT NULL,
    grant_id         text COLLATE "C" NOT NULL,
    scope            text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    successor_sealed bytea,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX refresh_token_grant ON refresh_token (tenant_id, grant_id);
CREATE INDEX refresh_token_expires ON refresh_token (tenant_id, expires_at);

-- token_id names the token in the audit log. A raised stamp makes every process read the token's rights anew.
ALTER TABLE access_token
    ADD COLUMN token_id text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN grant_id text COLLATE "C",
    ADD COLUMN user_id text COLLATE "C",
    ADD COLUMN stamp integer NOT NULL DEFAULT 0;
CREATE INDEX access_token_grant ON access_token (tenant_id, grant_id);
CREATE INDEX access_token_user ON access_token (tenant_id, user_id);
CREATE INDEX access_token_expires ON access_token (tenant_id, expires_at);

CREATE TABLE oauth_assertion (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX oauth_assertion_expires ON oauth_assertion (tenant_id, expires_at);

CREATE TABLE oauth_launch (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    context    jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX oauth_launch_expires ON oauth_launch (tenant_id, expires_at);

-- Keys that sign id_tokens. Retired ones stay published until the last id_token that they signed has expired.
CREATE TABLE signing_key (
    tenant_id      integer NOT NULL,
    kid            text COLLATE "C" NOT NULL,
    public_jwk     jsonb NOT NULL,
    private_sealed bytea NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    retired_at     timestamptz,
    PRIMARY KEY (tenant_id, kid)
);

-- The tenant's data keys, wrapped by the server's key. A destroyed key is gone: what it sealed cannot be read.
CREATE TABLE data_key (
    tenant_id    integer NOT NULL,
    key_id       integer NOT NULL,
    wrapped      bytea,
    wrapped_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    retired_at   timestamptz,
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);

-- Active Consent resources, flattened: one row for each provision. `parent` is the provision that it is an exception to,
-- `above` its parent and everything above that. NULL in a condition means: any. `patient` is core.keys.patient_key,
-- `actors` are keys of the names of actors, `keys`, `labels`, `ceiling` and `instances` those of resources.
-- `labels` or `ceiling`: the resource has one of the labels, or none of those over the ceiling.
-- `spared`: the type id of Consent, unless the provision names that type or its instances.
-- One index, so that no other can look better to a planner without statistics.
CREATE TABLE consent_rule (
    tenant_id  integer NOT NULL,
    patient    bigint NOT NULL,
    rid        bigint NOT NULL,
    n          integer NOT NULL,
    parent     integer,
    above      integer[] NOT NULL DEFAULT '{}',
    permit     boolean NOT NULL,
    spared     smallint,
    starts     timestamptz,
    ends       timestamptz,
    actors     bigint[],
    purposes   text[],
    type_ids   smallint[],
    keys       bigint[],
    labels     bigint[],
    ceiling    bigint[],
    instances  bigint[],
    data_start timestamptz,
    data_end   timestamptz,
    PRIMARY KEY (tenant_id, patient, rid, n)
);

-- The consents that hide a resource from who asks, by rid; NULL when none does. Of each consent the provisions decide
-- that hold together with all above them and have no exception that holds; one deny among these hides. Consents of
-- patients whose record was opened (break-glass) do not count. A function, because searches are planned for each
-- execution and this need not be; it is called for rows of patients with rules only.
CREATE FUNCTION consents_denying(p_tenant integer, p_keys bigint[], p_type smallint, p_ts timestamptz, p_self bigint,
                                 p_actors bigint[], p_purposes text[], p_opened bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
    AS $$
BEGIN
    RETURN (
        WITH holds AS MATERIALIZED (
            SELECT c.rid, c.n, c.parent, c.above, c.permit, c.spared FROM consent_rule c
            WHERE c.tenant_id = p_tenant AND c.patient = ANY (p_keys) AND c.patient <> ALL (p_opened)
              AND (c.starts IS NULL OR c.starts <= now()) AND (c.ends IS NULL OR c.ends > now())
              AND (c.actors IS NULL OR c.actors && p_actors)
              AND (c.purposes IS NULL OR c.purposes && p_purposes)
              AND (c.type_ids IS NULL OR p_type = ANY (c.type_ids))
              AND (c.instances IS NULL OR p_self = ANY (c.instances))
              AND (c.data_start IS NULL OR p_ts >= c.data_start) AND (c.data_end IS NULL OR p_ts < c.data_end)
              AND ((c.labels IS NULL AND c.ceiling IS NULL) OR c.labels && p_keys OR NOT c.ceiling && p_keys)
              AND (c.keys IS NULL OR c.keys && p_keys)
        )
        SELECT array_agg(DISTINCT d.rid) FROM holds d
        WHERE NOT d.permit AND d.spared IS DISTINCT FROM p_type
          AND NOT EXISTS (SELECT FROM holds e WHERE e.rid = d.rid AND e.parent = d.n)
          AND NOT EXISTS (
              SELECT FROM unnest(d.above) AS u(n)
              WHERE NOT EXISTS (SELECT FROM holds e WHERE e.rid = d.rid AND e.n = u.n))
    );
END $$;

-- Keys of the present roles (PractitionerRole) of practitioners, and of the organizations of these roles: under these
-- names too a consent can mean a practitioner. The last four arguments are ids of search parameters and a key.
CREATE FUNCTION consent_memberships(p_tenant integer, p_people bigint[], p_practitioner integer,
                                    p_organization integer, p_period integer, p_inactive bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
    AS $$
BEGIN
    RETURN ARRAY(
        SELECT k.key
        FROM reference p
        CROSS JOIN LATERAL (
            SELECT r.self_key FROM resource r
            WHERE r.tenant_id = p_tenant AND r.rid = p.rid AND NOT r.deleted AND NOT p_inactive = ANY (r.keys)
              AND NOT EXISTS (SELECT FROM date d WHERE d.tenant_id = p_tenant AND d.rid = p.rid AND d.param = p_period
                              AND NOT (d.lo <= now() AND d.hi > now()) OFFSET 0)
            OFFSET 0) r
        CROSS JOIN LATERAL (
            SELECT r.self_key
            UNION ALL
            (SELECT o.target FROM reference o
             WHERE o.tenant_id = p_tenant AND o.rid = p.rid AND o.param = p_organization OFFSET 0)) k(key)
        WHERE p.tenant_id = p_tenant AND p.target = ANY (p_people) AND p.param = p_practitioner);
END $$;

CREATE TABLE break_glass (
    tenant_id     integer NOT NULL,
    break_id      text COLLATE "C" NOT NULL,
    user_id       text COLLATE "C" NOT NULL,
    patient_id    text COLLATE "C" NOT NULL,
    purpose       text NOT NULL,
    reason_sealed bytea NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    reviewed_at   timestamptz,
    reviewed_by   text,
    PRIMARY KEY (tenant_id, break_id)
);
CREATE INDEX break_glass_user ON break_glass (tenant_id, user_id, expires_at);

-- One row for each thing that happened, written in the transaction in which it happened. AuditEvent resources are made
-- from it when they are read. `rids`: the resources that were shown or written. Nothing in it names a person in clear.
CREATE TABLE audit (
    tenant_id  integer NOT NULL,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq        bigint NOT NULL,
    event      smallint NOT NULL,
    outcome    smallint NOT NULL DEFAULT 0,
    type_id    smallint,
    rids       bigint[],
    agent      text COLLATE "C" NOT NULL DEFAULT '',
    client_id  text COLLATE "C" NOT NULL DEFAULT '',
    purpose    text COLLATE "C" NOT NULL DEFAULT '',
    request_id text COLLATE "C" NOT NULL DEFAULT '',
    key_id     integer NOT NULL DEFAULT 0,
    sealed     bytea,
    PRIMARY KEY (tenant_id, xid, seq)
);
-- The log in the order of time, for its readers; the primary key is the order in which it is sealed.
CREATE INDEX audit_seq ON audit (tenant_id, seq);

-- Which patients an event concerns; filled when it is sealed into the chain.
CREATE TABLE audit_patient (
    tenant_id integer NOT NULL,
    patient   bigint NOT NULL,
    seq       bigint NOT NULL,
    xid       xid8 NOT NULL,
    PRIMARY KEY (tenant_id, patient, seq, xid)
);

-- The chain: each link covers the events of the transactions from from_xid up to (without) to_xid.
CREATE TABLE audit_seal (
    tenant_id integer NOT NULL,
    number    integer NOT NULL,
    from_xid  xid8 NOT NULL,
    to_xid    xid8 NOT NULL,
    events    integer NOT NULL,
    previous  bytea NOT NULL,
    hash      bytea NOT NULL,
    signature bytea NOT NULL,
    key_name  text NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, number)
);

-- What is in the log stays in the log, also for the tables' owner.
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is not allowed: the audit log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_patient EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal EXECUTE FUNCTION audit_stays();

-- Erased patients: what a restored backup must erase again.
CREATE TABLE erasure (
    tenant_id  integer NOT NULL,
    erasure_id text COLLATE "C" NOT NULL,
    patient    bigint NOT NULL,
    reason     text NOT NULL,
    proposed_by text NOT NULL,
    approved_by text,
    status     text NOT NULL CHECK (status IN ('proposed', 'held', 'done', 'rejected')),
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz,
    PRIMARY KEY (tenant_id, erasure_id)
);

CREATE FUNCTION app_enter(p_tenant integer, p_hash bytea, p_registry integer, p_stamp integer) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    t record;
    s integer;
BEGIN
    SELECT status, registry_version INTO t FROM tenant WHERE tenant_id = p_tenant;
    IF t IS NULL OR t.status <> 'active' THEN
        RAISE EXCEPTION 'tenant is not active' USING ERRCODE = 'SA403';
    END IF;
    IF p_hash IS NOT NULL THEN
        SELECT a.stamp INTO s FROM access_token a
        WHERE a.tenant_id = p_tenant AND a.hash = p_hash AND a.revoked_at IS NULL AND a.expires_at > now();
        IF s IS NULL THEN
            RAISE EXCEPTION 'token is not valid' USING ERRCODE = 'SA401';
        END IF;
        IF s <> p_stamp THEN
            RAISE EXCEPTION 'rights have changed' USING ERRCODE = 'SA410';
        END IF;
    END IF;
    IF t.registry_version <> p_registry THEN
        RAISE EXCEPTION 'definitions have changed' USING ERRCODE = 'SA409';
    END IF;
END $$;
DROP FUNCTION app_enter(integer, bytea, integer);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['user_account', 'user_passkey', 'user_code', 'mail', 'web_session', 'throttle',
                                'oauth_client', 'oauth_grant', 'oauth_code', 'refresh_token', 'oauth_assertion',
                                'oauth_launch', 'signing_key', 'data_key', 'consent_rule', 'break_glass',
                                'audit_patient', 'audit_seal', 'audit', 'erasure'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_allow ON %I AS PERMISSIVE
                        USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
        EXECUTE format('CREATE POLICY tenant_only ON %I AS RESTRICTIVE
                        USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
        -- What is in the log stays in the log.
        EXECUTE format('GRANT SELECT, INSERT%s ON %I TO fhir_app',
                       CASE WHEN name LIKE 'audit%%' THEN '' ELSE ', UPDATE, DELETE' END, name);
    END LOOP;
END $$;
