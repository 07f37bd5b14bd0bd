-- Who is booked when, and which answers to operations were given. The pattern of tables is that of 0001.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Put a table under the pattern: forced row-level security, a permissive and a restrictive policy, rights of the engine.
CREATE FUNCTION guard_table(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant_allow ON %I AS PERMISSIVE
                    USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
    EXECUTE format('CREATE POLICY tenant_only ON %I AS RESTRICTIVE
                    USING (tenant_id = app_tenant()) WITH CHECK (tenant_id = app_tenant())', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fhir_app', name);
END $$;

-- Whose time can be taken: the actors of Schedules (a PractitionerRole stands as its Practitioner), and how many visits
-- at once. `actor` is core.keys.self_key, `schedule` the rid of the Schedule.
CREATE TABLE bookable (
    tenant_id integer NOT NULL,
    actor     bigint NOT NULL,
    schedule  bigint NOT NULL,
    capacity  smallint NOT NULL CHECK (capacity > 0),
    PRIMARY KEY (tenant_id, actor, schedule)
);
CREATE INDEX bookable_schedule ON bookable (tenant_id, schedule);

-- Time that is taken. `holder`: rid of the Slot or Appointment that says so; `appointment`: rid of the Appointment that
-- the time is for, 0 for none; `kind` of time for none: `busy` may become a visit's, a `block` may not; `expires_at`: a
-- hold that nobody keeps after that. Seats from the actor's capacity on are overbooked on purpose. The constraint sees the rows of every tenant, whatever row-level security says.
CREATE TABLE slot_claim (
    tenant_id   integer NOT NULL,
    holder      bigint NOT NULL,
    actor       bigint NOT NULL,
    seat        smallint NOT NULL DEFAULT 0,
    starts      timestamptz NOT NULL,
    ends        timestamptz NOT NULL,
    appointment bigint NOT NULL DEFAULT 0,
    kind        text NOT NULL CHECK (kind IN ('booked', 'hold', 'busy', 'block')),
    expires_at  timestamptz,
    PRIMARY KEY (tenant_id, holder, actor, seat),
    CHECK (starts < ends),
    CONSTRAINT slot_claim_once EXCLUDE USING gist
        (tenant_id WITH =, actor WITH =, seat WITH =, tstzrange(starts, ends, '[)') WITH &&)
);
CREATE INDEX slot_claim_time ON slot_claim (tenant_id, actor, ends, starts);
CREATE INDEX slot_claim_appointment ON slot_claim (tenant_id, appointment) WHERE appointment <> 0;
CREATE INDEX slot_claim_expiry ON slot_claim (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

-- Secret links to calendars (.ics feeds).
CREATE TABLE calendar_link (
    tenant_id  integer NOT NULL,
    link_id    text COLLATE "C" NOT NULL,
    hash       bytea NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    names      boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, link_id)
);
CREATE UNIQUE INDEX calendar_link_hash ON calendar_link (tenant_id, hash);

-- Answers to operations that were sent with an Idempotency-Key, for a day.
CREATE TABLE idempotency (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    request    bytea NOT NULL,
    status     smallint,
    sealed     bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX idempotency_created ON idempotency (tenant_id, created_at);

SELECT guard_table(name) FROM unnest(ARRAY['bookable', 'slot_claim', 'calendar_link', 'idempotency']) AS name;

-- Whether an actor has as many visits as he takes at some moment of a time where some stand beyond his capacity: the
-- seats below it can be free then, after a cancellation, and are not to be given away again. Who asks at the same moment
-- waits at the rows beyond capacity.
CREATE FUNCTION is_overfull(p_tenant integer, p_actor bigint, p_starts timestamptz, p_ends timestamptz,
                            p_seats integer) RETURNS boolean LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM slot_claim WHERE tenant_id = p_tenant AND actor = p_actor AND seat >= p_seats
        AND ends > p_starts AND starts < p_ends ORDER BY starts, seat FOR UPDATE;
    RETURN FOUND AND EXISTS (
        SELECT FROM (SELECT greatest(starts, p_starts) AS moment FROM slot_claim
                     WHERE tenant_id = p_tenant AND actor = p_actor AND ends > p_starts AND starts < p_ends) m
        JOIN slot_claim c ON c.tenant_id = p_tenant AND c.actor = p_actor AND c.starts <= m.moment AND c.ends > m.moment
        GROUP BY m.moment HAVING count(DISTINCT (c.holder, c.seat)) >= p_seats);
END $$;

-- Take time of one actor: the first seat that is free, or beyond the actor's capacity where that is wanted. Who is at the
-- same seat at the same moment waits for the other's transaction. Gives the seat; raises SA423 when the time is taken,
-- SA424 when only holds are in the way. Holds that have run out give way. `p_stands`: the holder had this time up to now.
CREATE FUNCTION claim_seat(p_tenant integer, p_holder bigint, p_actor bigint, p_starts timestamptz, p_ends timestamptz,
                           p_appointment bigint, p_kind text, p_expires timestamptz, p_beyond boolean,
                           p_stands boolean, p_now timestamptz) RETURNS integer LANGUAGE plpgsql
    AS $$
DECLARE
    seats integer := coalesce(
        (SELECT max(capacity) FROM bookable WHERE tenant_id = p_tenant AND actor = p_actor), 1);
BEGIN
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND actor = p_actor AND expires_at <= p_now
        AND ends > p_starts AND starts < p_ends;
    IF p_beyond OR p_stands OR NOT is_overfull(p_tenant, p_actor, p_starts, p_ends, seats) THEN
        FOR s IN 0 .. seats - 1 + CASE WHEN p_beyond THEN 500 ELSE 0 END LOOP
            INSERT INTO slot_claim (tenant_id, holder, actor, seat, starts, ends, appointment, kind, expires_at)
            VALUES (p_tenant, p_holder, p_actor, s, p_starts, p_ends, p_appointment, p_kind, p_expires)
            ON CONFLICT DO NOTHING;
            IF FOUND THEN
                RETURN s;
            END IF;
        END LOOP;
    END IF;
    IF EXISTS (SELECT FROM slot_claim WHERE tenant_id = p_tenant AND actor = p_actor AND kind <> 'hold'
               AND ends > p_starts AND starts < p_ends) THEN
        RAISE EXCEPTION 'time is taken' USING ERRCODE = 'SA423';
    END IF;
    RAISE EXCEPTION 'time is held' USING ERRCODE = 'SA424';
END $$;

-- Whose time a Schedule is about: actors by their keys, and the practitioners of the roles among them. An actor takes as
-- many visits at once on every Schedule (SA425 otherwise), and stays guarded while time of his is taken.
CREATE FUNCTION book_actors(p_tenant integer, p_schedule bigint, p_actors bigint[], p_capacity integer,
                            p_practitioner integer, p_now timestamptz) RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    found bigint[] := ARRAY(
        SELECT DISTINCT k.actor FROM (
            SELECT unnest(p_actors) AS actor
            UNION ALL
            SELECT r.target FROM resource p JOIN reference r ON r.tenant_id = p_tenant AND r.rid = p.rid
            WHERE p.tenant_id = p_tenant AND p.self_key = ANY (p_actors) AND r.param = p_practitioner) k);
BEGIN
    DELETE FROM bookable b WHERE b.tenant_id = p_tenant AND b.schedule = p_schedule AND b.actor <> ALL (found)
        AND NOT EXISTS (SELECT FROM slot_claim c WHERE c.tenant_id = p_tenant AND c.actor = b.actor AND c.ends > p_now);
    INSERT INTO bookable (tenant_id, actor, schedule, capacity)
        SELECT p_tenant, unnest(found), p_schedule, p_capacity
        ON CONFLICT (tenant_id, actor, schedule) DO UPDATE SET capacity = excluded.capacity;
    IF EXISTS (SELECT FROM bookable WHERE tenant_id = p_tenant AND actor = ANY (found)
               AND schedule <> p_schedule AND capacity <> p_capacity) THEN
        RAISE EXCEPTION 'another schedule has another capacity' USING ERRCODE = 'SA425';
    END IF;
END $$;

-- The time of a Slot, for every bookable actor of its Schedule: one seat if it is for a visit, all of them otherwise.
-- What the Slot's own Appointment has already is not taken again, the rest is taken for it.
CREATE FUNCTION claim_slot(p_tenant integer, p_rid bigint, p_self bigint, p_schedule bigint, p_starts timestamptz,
                           p_ends timestamptz, p_whole boolean, p_beyond boolean, p_stands boolean,
                           p_slot_param integer, p_now timestamptz) RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    b record;
    visit record;
BEGIN
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = p_rid;
    FOR b IN SELECT k.actor, max(k.capacity) AS capacity FROM resource s
             JOIN bookable k ON k.tenant_id = p_tenant AND k.schedule = s.rid
             WHERE s.tenant_id = p_tenant AND s.self_key = p_schedule GROUP BY k.actor ORDER BY k.actor LOOP
        SELECT c.appointment, c.kind, c.expires_at, c.ends > p_starts AND c.starts < p_ends AS covers INTO visit
            FROM reference r
            JOIN slot_claim c ON c.tenant_id = p_tenant AND c.holder = r.rid AND c.actor = b.actor
            WHERE r.tenant_id = p_tenant AND r.target = p_self AND r.param = p_slot_param
            ORDER BY 4 DESC LIMIT 1;
        IF NOT FOUND THEN
            FOR i IN 1 .. CASE WHEN p_whole THEN b.capacity ELSE 1 END LOOP
                PERFORM claim_seat(p_tenant, p_rid, b.actor, p_starts, p_ends, 0,
                                   CASE WHEN p_whole THEN 'block' ELSE 'busy' END, NULL, p_beyond, p_stands, p_now);
            END LOOP;
        ELSIF NOT visit.covers THEN
            PERFORM claim_seat(p_tenant, p_rid, b.actor, p_starts, p_ends, visit.appointment, visit.kind,
                               visit.expires_at, p_beyond, p_stands, p_now);
        END IF;
    END LOOP;
END $$;

-- The time of an Appointment for each bookable actor among p_actors (keys of participants), the practitioners of the
-- roles among them, and the actors of its Slots' Schedules. Where one of its Slots holds the time, the Appointment takes
-- it over, so that it has its time whatever becomes of the Slot; its other Slots (buffers) hold theirs for it. A Slot of
-- another visit, and one that blocks time for no visit, cannot be its own.
CREATE FUNCTION claim_appointment(p_tenant integer, p_rid bigint, p_starts timestamptz, p_ends timestamptz,
                                  p_actors bigint[], p_slots bigint[], p_expires timestamptz, p_beyond boolean,
                                  p_stands boolean, p_params integer[], p_now timestamptz) RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    what text := CASE WHEN p_expires IS NULL THEN 'booked' ELSE 'hold' END;
    slots bigint[] := ARRAY(SELECT rid FROM resource WHERE tenant_id = p_tenant AND self_key = ANY (p_slots));
    other text;
    who bigint;
    lo timestamptz;
    hi timestamptz;
BEGIN
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = p_rid;
    UPDATE slot_claim SET appointment = 0, kind = 'busy', expires_at = NULL
        WHERE tenant_id = p_tenant AND appointment = p_rid AND holder <> ALL (slots);
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = ANY (slots) AND appointment <> p_rid
        AND expires_at <= p_now;
    SELECT kind INTO other FROM slot_claim
        WHERE tenant_id = p_tenant AND holder = ANY (slots) AND (appointment NOT IN (0, p_rid) OR kind = 'block') LIMIT 1;
    IF FOUND AND NOT p_beyond THEN
        RAISE EXCEPTION 'time is taken' USING ERRCODE = CASE other WHEN 'hold' THEN 'SA424' ELSE 'SA423' END;
    END IF;
    FOR who IN
        SELECT DISTINCT b.actor FROM bookable b WHERE b.tenant_id = p_tenant AND (
            b.actor = ANY (p_actors)
            OR b.actor IN (
                SELECT r.target FROM resource p JOIN reference r ON r.tenant_id = p_tenant AND r.rid = p.rid
                WHERE p.tenant_id = p_tenant AND p.self_key = ANY (p_actors) AND r.param = p_params[1])
            OR b.schedule IN (
                SELECT c.rid FROM resource s
                JOIN reference r ON r.tenant_id = p_tenant AND r.rid = s.rid AND r.param = p_params[2]
                JOIN resource c ON c.tenant_id = p_tenant AND c.self_key = r.target
                WHERE s.tenant_id = p_tenant AND s.self_key = ANY (p_slots)))
        ORDER BY 1
    LOOP
        WITH own AS (
            DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = ANY (slots) AND actor = who
                AND appointment IN (0, p_rid) AND ends > p_starts AND starts < p_ends RETURNING starts, ends)
        SELECT least(p_starts, min(starts)), greatest(p_ends, max(ends)) INTO lo, hi FROM own;
        PERFORM claim_seat(p_tenant, p_rid, who, lo, hi, p_rid, what, p_expires, p_beyond, p_stands, p_now);
    END LOOP;
    UPDATE slot_claim SET appointment = p_rid, kind = what, expires_at = p_expires
        WHERE tenant_id = p_tenant AND holder = ANY (slots) AND appointment IN (0, p_rid);
END $$;
