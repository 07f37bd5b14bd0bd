-- Messages to people: what is to be sent, what became of it, what it cost. The pattern of tables is that of 0001.

-- A message is made once for each occasion and channel. Address and text are sealed (and emptied when they are needed
-- no more); the Communication (`rid`) is the record. A message that is `sending` was given to the provider at `since`, or
-- was about to be: when nobody says what became of it, the provider is asked from `next_attempt` on. `month`: of the
-- budget that pays its `cost`. `replayed`: somebody decided that it may be sent although it may have been sent.
CREATE TABLE message (
    tenant_id    integer NOT NULL,
    message_id   bigint NOT NULL,
    occasion     text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    channel      text COLLATE "C" NOT NULL,
    rid          bigint NOT NULL DEFAULT 0,
    sealed       bytea NOT NULL,
    state        text NOT NULL DEFAULT 'queued'
                 CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'dead', 'stopped')),
    attempts     integer NOT NULL DEFAULT 0,
    next_attempt timestamptz NOT NULL,
    since        timestamptz,
    provider     text COLLATE "C" NOT NULL DEFAULT '',
    provider_id  text COLLATE "C",
    parts        integer NOT NULL DEFAULT 0,
    cost         numeric NOT NULL DEFAULT 0 CHECK (cost >= 0),
    month        date,
    error        text NOT NULL DEFAULT '',
    replayed     boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, message_id)
);
CREATE UNIQUE INDEX message_occasion ON message (tenant_id, occasion, channel);
CREATE INDEX message_due ON message (tenant_id, next_attempt) WHERE state IN ('queued', 'sending');
CREATE UNIQUE INDEX message_provider ON message (tenant_id, provider, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX message_state ON message (tenant_id, state, changed_at);
CREATE INDEX message_rid ON message (tenant_id, rid);
-- What `empty` still has to do.
CREATE INDEX message_full ON message (tenant_id, changed_at)
    WHERE sealed <> '' AND state IN ('sent', 'delivered', 'failed', 'dead', 'stopped');

-- What was spent: one row for each month and channel, and one for all of them (channel ''), which is never raised over
-- the tenant's budget.
CREATE TABLE message_budget (
    tenant_id integer NOT NULL,
    month     date NOT NULL,
    channel   text COLLATE "C" NOT NULL,
    messages  integer NOT NULL DEFAULT 0 CHECK (messages >= 0),
    parts     integer NOT NULL DEFAULT 0 CHECK (parts >= 0),
    cost      numeric NOT NULL DEFAULT 0 CHECK (cost >= 0),
    PRIMARY KEY (tenant_id, month, channel)
);

-- Who wants what: by a hash of the address (opt-out by STOP) or of the person. kind '' and channel '' mean every one.
CREATE TABLE message_preference (
    tenant_id  integer NOT NULL,
    whom       bytea NOT NULL,
    kind       text COLLATE "C" NOT NULL DEFAULT '',
    channel    text COLLATE "C" NOT NULL DEFAULT '',
    wanted     boolean NOT NULL,
    source     text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, whom, kind, channel)
);

-- Browsers that want web push. `person`: core.keys.self_key of a Patient, RelatedPerson or Practitioner.
CREATE TABLE push_subscription (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    person     bigint NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX push_subscription_person ON push_subscription (tenant_id, person);

-- The key by which push services know the tenant (VAPID, RFC 8292). Browsers subscribe to its public half.
CREATE TABLE push_key (
    tenant_id  integer NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);

-- What the sandbox provider was given, so that it can behave like a real one. `told`: how many callbacks went out;
-- `plan`: those that are to come, as JSON.
CREATE TABLE sandbox_message (
    tenant_id   integer NOT NULL,
    provider_id text COLLATE "C" NOT NULL,
    message_id  bigint NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    sealed      bytea NOT NULL,
    status      text COLLATE "C" NOT NULL,
    told        integer NOT NULL DEFAULT 0,
    plan        jsonb NOT NULL DEFAULT '[]',
    next_at     timestamptz,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, provider_id)
);
CREATE INDEX sandbox_message_next ON sandbox_message (tenant_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX sandbox_message_age ON sandbox_message (tenant_id, created_at);
CREATE INDEX sandbox_message_of ON sandbox_message (tenant_id, message_id);

SELECT guard_table(name)
FROM unnest(ARRAY[
    'message', 'message_budget', 'message_preference', 'push_subscription', 'push_key', 'sandbox_message'
]) AS name;
