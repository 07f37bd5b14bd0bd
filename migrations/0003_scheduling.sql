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

-- Whose time can be taken: the actors of active Schedules (a PractitionerRole stands as its Practitioner), and how many
-- visits at once. `actor` is core.keys.self_key, `schedule` the rid of the Schedule.
CREATE TABLE bookable (
    tenant_id integer NOT NULL,
    actor     bigint NOT NULL,
    schedule  bigint NOT NULL,
    capacity  smallint NOT NULL CHECK (capacity > 0),
    PRIMARY KEY (tenant_id, actor, schedule)
);
CREATE INDEX bookable_schedule ON bookable (tenant_id, schedule);

-- Time that is taken. `holder`: rid of the Slot or Appointment that says so; `appointment`: rid of the Appointment that
-- the time is for, 0 for none; `expires_at`: a hold that nobody keeps after that. Seats from the actor's capacity on are
-- overbooked on purpose. The constraint sees the rows of every tenant, whatever row-level security says.
CREATE TABLE slot_claim (
    tenant_id   integer NOT NULL,
    holder      bigint NOT NULL,
    actor       bigint NOT NULL,
    seat        smallint NOT NULL DEFAULT 0,
    starts      timestamptz NOT NULL,
    ends        timestamptz NOT NULL,
    appointment bigint NOT NULL DEFAULT 0,
    kind        text NOT NULL CHECK (kind IN ('booked', 'hold', 'block')),
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

-- Take time of one actor: the first seat that is free, or beyond the actor's capacity where that is wanted. Who is at the
-- same seat at the same moment waits for the other's transaction. Gives the seat; raises SA423 when the time is taken,
-- SA424 when only holds are in the way. Holds that have run out give way.
CREATE FUNCTION claim_seat(p_tenant integer, p_holder bigint, p_actor bigint, p_starts timestamptz, p_ends timestamptz,
                           p_appointment bigint, p_kind text, p_expires timestamptz, p_beyond boolean,
                           p_now timestamptz) RETURNS integer LANGUAGE plpgsql
    AS $$
DECLARE
    seats integer := (SELECT max(capacity) FROM bookable WHERE tenant_id = p_tenant AND actor = p_actor);
BEGIN
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND actor = p_actor AND expires_at <= p_now
        AND ends > p_starts AND starts < p_ends;
    FOR s IN 0 .. coalesce(seats, 1) - 1 + CASE WHEN p_beyond THEN 500 ELSE 0 END LOOP
        INSERT INTO slot_claim (tenant_id, holder, actor, seat, starts, ends, appointment, kind, expires_at)
        VALUES (p_tenant, p_holder, p_actor, s, p_starts, p_ends, p_appointment, p_kind, p_expires)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN s;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM slot_claim WHERE tenant_id = p_tenant AND actor = p_actor AND kind <> 'hold'
               AND ends > p_starts AND starts < p_ends) THEN
        RAISE EXCEPTION 'time is taken' USING ERRCODE = 'SA423';
    END IF;
    RAISE EXCEPTION 'time is held' USING ERRCODE = 'SA424';
END $$;

-- The time of a Slot, for every bookable actor of its Schedule: one seat if it is for a visit, all of them otherwise.
-- What the Slot's own Appointment already has is not taken again.
CREATE FUNCTION claim_slot(p_tenant integer, p_rid bigint, p_self bigint, p_schedule bigint, p_starts timestamptz,
                           p_ends timestamptz, p_whole boolean, p_beyond boolean, p_slot_param integer,
                           p_now timestamptz) RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    b record;
BEGIN
    FOR b IN SELECT k.actor, max(k.capacity) AS capacity FROM resource s
             JOIN bookable k ON k.tenant_id = p_tenant AND k.schedule = s.rid
             WHERE s.tenant_id = p_tenant AND s.self_key = p_schedule GROUP BY k.actor ORDER BY k.actor LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM reference r
            JOIN slot_claim c ON c.tenant_id = p_tenant AND c.holder = r.rid AND c.actor = b.actor
            WHERE r.tenant_id = p_tenant AND r.target = p_self AND r.param = p_slot_param
              AND c.ends > p_starts AND c.starts < p_ends);
        FOR i IN 1 .. CASE WHEN p_whole THEN b.capacity ELSE 1 END LOOP
            PERFORM claim_seat(p_tenant, p_rid, b.actor, p_starts, p_ends, 0, 'block', NULL, p_beyond, p_now);
        END LOOP;
    END LOOP;
END $$;

-- The time of an Appointment: what its Slots hold becomes its own, the rest is taken for each bookable actor among
-- p_actors (keys of participants), the practitioners of the roles among them, and the actors of its Slots' Schedules.
CREATE FUNCTION claim_appointment(p_tenant integer, p_rid bigint, p_starts timestamptz, p_ends timestamptz,
                                  p_actors bigint[], p_slots bigint[], p_expires timestamptz, p_beyond boolean,
                                  p_params integer[], p_now timestamptz) RETURNS integer LANGUAGE plpgsql
    AS $$
DECLARE
    what text := CASE WHEN p_expires IS NULL THEN 'booked' ELSE 'hold' END;
    slots bigint[] := ARRAY(SELECT rid FROM resource WHERE tenant_id = p_tenant AND self_key = ANY (p_slots));
    other record;
    who bigint;
    top integer := 0;
BEGIN
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = p_rid;
    UPDATE slot_claim SET appointment = 0, kind = 'block', expires_at = NULL
        WHERE tenant_id = p_tenant AND appointment = p_rid AND holder <> ALL (slots);
    DELETE FROM slot_claim WHERE tenant_id = p_tenant AND holder = ANY (slots) AND appointment <> p_rid
        AND expires_at <= p_now;
    UPDATE slot_claim SET appointment = p_rid, kind = what, expires_at = p_expires
        WHERE tenant_id = p_tenant AND holder = ANY (slots) AND appointment IN (0, p_rid);
    SELECT kind INTO other FROM slot_claim
        WHERE tenant_id = p_tenant AND holder = ANY (slots) AND appointment <> p_rid LIMIT 1;
    IF FOUND AND NOT p_beyond THEN
        RAISE EXCEPTION 'time is taken' USING ERRCODE = CASE other.kind WHEN 'hold' THEN 'SA424' ELSE 'SA423' END;
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
        CONTINUE WHEN EXISTS (
            SELECT FROM slot_claim c WHERE c.tenant_id = p_tenant AND c.appointment = p_rid AND c.actor = who
            AND c.starts <= p_starts AND c.ends >= p_ends);
        top := greatest(top, claim_seat(p_tenant, p_rid, who, p_starts, p_ends, p_rid, what, p_expires, p_beyond,
                                        p_now));
    END LOOP;
    RETURN top;
END $$;
