-- The change feed: changes in the order in which their transactions became visible, and how far its readers have come.

CREATE INDEX change_feed ON change (tenant_id, xid, seq);

-- A reader has seen every change up to and with (xid, seq). `failures`: how often what follows has failed in a row;
-- until `retry_at` nobody tries again; `alone`: changes are given one by one, up to this one, because together they failed.
CREATE TABLE feed_position (
    tenant_id  integer NOT NULL,
    reader     text COLLATE "C" NOT NULL,
    xid        xid8 NOT NULL,
    seq        bigint NOT NULL,
    failures   integer NOT NULL DEFAULT 0,
    retry_at   timestamptz,
    alone_xid  xid8 NOT NULL DEFAULT '0',
    alone_seq  bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, reader)
);

-- Changes that a reader failed on alone. They are tried again by themselves, ever more rarely; after the last attempt
-- `retry_at` is NULL and the row stays for the operator. `error`: the kind of the failure, without data.
CREATE TABLE feed_parked (
    tenant_id integer NOT NULL,
    reader    text COLLATE "C" NOT NULL,
    xid       xid8 NOT NULL,
    seq       bigint NOT NULL,
    attempts  integer NOT NULL DEFAULT 1,
    retry_at  timestamptz,
    error     text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, reader, xid, seq)
);
CREATE INDEX feed_parked_due ON feed_parked (tenant_id, reader, retry_at);

-- Short-lived keys for event streams, because a browser's EventSource sends no Authorization header. `token`: the hash of
-- the access token whose rights it stands for.
CREATE TABLE event_ticket (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    token      bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX event_ticket_expires ON event_ticket (tenant_id, expires_at);

SELECT guard_table(name) FROM unnest(ARRAY['feed_position', 'feed_parked', 'event_ticket']) AS name;
