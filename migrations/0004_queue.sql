-- Waiting queues: the state of each, its tickets and what happened to them. The pattern of tables is that of 0001.

-- One row for each queue (`queue`: core.keys.self_key of its HealthcareService), locked by every action on it. `day`: of
-- the last number given; `since_paid`: calls of unpaid tickets since the last paid one.
CREATE TABLE queue_state (
    tenant_id   integer NOT NULL,
    queue       bigint NOT NULL,
    day         date NOT NULL,
    last_number integer NOT NULL DEFAULT 0,
    events      bigint NOT NULL DEFAULT 0,
    since_paid  integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, queue)
);

-- A ticket in a form that can be put in order; the Task (`rid`) is the record. `deadline`: when it ends by itself, with
-- the grace period or with the queue's day.
CREATE TABLE ticket (
    tenant_id   integer NOT NULL,
    rid         bigint NOT NULL,
    queue       bigint NOT NULL,
    day         date NOT NULL,
    number      integer NOT NULL,
    kind        text NOT NULL,
    state       text NOT NULL,
    rank        smallint NOT NULL,
    due         timestamptz NOT NULL,
    place       bigint NOT NULL,
    present     boolean NOT NULL DEFAULT false,
    passed      integer NOT NULL DEFAULT 0,
    recalls     smallint NOT NULL DEFAULT 0,
    returns     smallint NOT NULL DEFAULT 0,
    patient     bigint,
    appointment bigint,
    desk        text COLLATE "C" NOT NULL DEFAULT '',
    taken_at    timestamptz NOT NULL,
    arrived_at  timestamptz,
    called_at   timestamptz,
    absent_until timestamptz,
    started_at  timestamptz,
    ended_at    timestamptz,
    deadline    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, rid)
);
CREATE UNIQUE INDEX ticket_number ON ticket (tenant_id, queue, day, number);
CREATE UNIQUE INDEX ticket_once ON ticket (tenant_id, queue, patient)
    WHERE patient IS NOT NULL AND state IN ('waiting', 'called', 'serving');
CREATE INDEX ticket_open ON ticket (tenant_id, queue, day, number)
    WHERE state IN ('waiting', 'called', 'serving');
CREATE INDEX ticket_deadline ON ticket (tenant_id, deadline) WHERE state IN ('waiting', 'called');
CREATE INDEX ticket_appointment ON ticket (tenant_id, appointment, taken_at) WHERE appointment IS NOT NULL;

-- What happened in a queue, numbered without holes within it.
CREATE TABLE ticket_event (
    tenant_id integer NOT NULL,
    queue     bigint NOT NULL,
    seq       bigint NOT NULL,
    at        timestamptz NOT NULL,
    rid       bigint,
    action    text COLLATE "C" NOT NULL,
    agent     text COLLATE "C" NOT NULL DEFAULT '',
    detail    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, queue, seq)
);
CREATE INDEX ticket_event_ticket ON ticket_event (tenant_id, rid, seq);

-- Secret links with which the holder of a ticket follows it without an account.
CREATE TABLE ticket_link (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    rid        bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX ticket_link_expires ON ticket_link (tenant_id, expires_at);

SELECT guard_table(name) FROM unnest(ARRAY['queue_state', 'ticket', 'ticket_event', 'ticket_link']) AS name;
