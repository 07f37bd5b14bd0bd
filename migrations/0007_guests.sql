-- Visitors without account, and accounts that are known by a telephone number.

-- `phone`: E.164, proved. `origin`: of a guest, the network that he came from, as a keyed hash. Nobody signs in as a guest
-- or as a device by an address.
ALTER TABLE user_account
    ALTER COLUMN email DROP NOT NULL,
    ADD COLUMN phone text COLLATE "C",
    ADD COLUMN phone_verified_at timestamptz,
    ADD COLUMN origin bytea,
    ADD CONSTRAINT user_account_reached CHECK (email IS NOT NULL OR phone IS NOT NULL OR role IN ('guest', 'board', 'kiosk'));
CREATE UNIQUE INDEX user_account_phone ON user_account (tenant_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX user_account_guest ON user_account (tenant_id, created_at) WHERE role = 'guest';

-- Who a guest says he is, until he has proved the address by a code: one at a time for each guest. `sealed`: person and
-- address. After the proof: the account and patient that came of it, what was booked, and a ticket that signs the same
-- browser in, once.
CREATE TABLE guest_proof (
    tenant_id      integer NOT NULL,
    guest_id       text COLLATE "C" NOT NULL,
    sealed         bytea NOT NULL,
    hash           bytea NOT NULL,
    attempts       integer NOT NULL DEFAULT 0,
    expires_at     timestamptz NOT NULL,
    proved_at      timestamptz,
    user_id        text COLLATE "C",
    patient_id     text COLLATE "C",
    appointment_id text COLLATE "C",
    ticket         bytea,
    ticket_until   timestamptz,
    PRIMARY KEY (tenant_id, guest_id)
);
CREATE INDEX guest_proof_expires ON guest_proof (tenant_id, expires_at);

SELECT guard_table('guest_proof');
