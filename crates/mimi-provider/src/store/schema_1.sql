-- For SQLite and PostgreSQL alike: for the latter BLOB becomes BYTEA, and WITHOUT ROWID, which tells SQLite to keep a table
-- in the order of its key, goes. Whole numbers and truth values are BIGINT.

-- Accounts and their devices. Of tokens and codes only the SHA-256 is kept.
CREATE TABLE accounts (
    id BIGINT PRIMARY KEY,
    user_uri TEXT NOT NULL,
    -- In lower case: names that differ in case alone are one.
    user_folded TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- Whether anybody gets KeyPackages that are good for initial connections only.
    initial_connections BIGINT NOT NULL DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE devices (
    id BIGINT PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES accounts (id),
    client TEXT NOT NULL UNIQUE,
    token_hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    last_sequence BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX devices_by_account ON devices (account);
CREATE TABLE enrolments (
    code_hash BLOB PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES accounts (id)
) WITHOUT ROWID;

-- The newest number that was given to an account or device.
CREATE TABLE numbers (
    kind TEXT PRIMARY KEY,
    newest BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO numbers (kind, newest) VALUES ('account', 0), ('device', 0);

-- What accounts can be found by. Nothing that is hidden stands in an index: a search for it takes as long as one for
-- what does not exist.
CREATE TABLE profile_fields (
    account BIGINT NOT NULL REFERENCES accounts (id),
    -- The number of the field in draft-ietf-mimi-protocol-06, section 5.8; of a claim or property its name besides.
    kind BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    folded TEXT NOT NULL,
    -- 1: hidden; 2: found by exactly this; 3: by a part of it as well, and shown.
    visibility BIGINT NOT NULL,
    is_name BIGINT NOT NULL
);
CREATE INDEX profile_fields_by_account ON profile_fields (account);
CREATE INDEX profile_fields_by_value ON profile_fields (kind, folded) WHERE visibility >= 2;

-- The tie between an account and its pseudonyms. This is the only table in which both stand side by side; nothing in it
-- leaves the provider, and nothing of it is logged.
CREATE TABLE pseudonyms (
    pseudonym TEXT PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES accounts (id),
    -- Hash of the request that asked for it, if that can be repeated.
    request BLOB
) WITHOUT ROWID;
CREATE INDEX pseudonyms_by_request ON pseudonyms (request) WHERE request IS NOT NULL;

-- Client URIs under a pseudonym: one for each device, pseudonym and key.
CREATE TABLE client_pseudonyms (
    client TEXT PRIMARY KEY,
    device BIGINT NOT NULL REFERENCES devices (id),
    user_uri TEXT NOT NULL,
    -- A key is for one pseudonym: two leaves with one key would be tied together for all to see.
    public_key BLOB NOT NULL UNIQUE
) WITHOUT ROWID;

-- KeyPackages of our clients. A claimed one stays until it has expired: a Welcome may still name it. Until it has been
-- used, the request that claimed it gets it again: its answer may have been lost.
CREATE TABLE key_packages (
    ref BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    client TEXT NOT NULL,
    device BIGINT NOT NULL REFERENCES devices (id),
    suite BIGINT NOT NULL,
    initial_only BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    octets BLOB NOT NULL,
    -- 0: to be had; 1: claimed; 2: a Welcome has used it.
    claimed BIGINT NOT NULL DEFAULT 0,
    claimed_by BLOB
);
CREATE INDEX key_packages_by_owner ON key_packages (owner, initial_only, claimed);

-- What our users have said of who may have their KeyPackages; an empty room stands for any.
CREATE TABLE consents (
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    room TEXT NOT NULL,
    granted BIGINT NOT NULL,
    said_at BIGINT NOT NULL,
    PRIMARY KEY (target, requester, room)
) WITHOUT ROWID;

-- Requests for consent that wait for one of our users.
CREATE TABLE consent_requests (
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    room TEXT NOT NULL,
    account BIGINT NOT NULL REFERENCES accounts (id),
    asked_at BIGINT NOT NULL,
    PRIMARY KEY (target, requester, room)
) WITHOUT ROWID;
CREATE INDEX consent_requests_by_account ON consent_requests (account);

-- As a hub: the KeyPackages with which clients came into its rooms. None is used twice (RFC 9420, section 16.8).
CREATE TABLE used_key_packages (
    ref BLOB PRIMARY KEY,
    used_at BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX used_key_packages_by_age ON used_key_packages (used_at);

-- As a hub: which provider gave a KeyPackage, and so gets the Welcome that names it.
CREATE TABLE hub_kp_routes (
    ref BLOB PRIMARY KEY,
    domain TEXT NOT NULL
) WITHOUT ROWID;

-- As a hub: rooms. A room is its snapshot and the log entries behind it.
CREATE TABLE hub_keys (
    suite BIGINT PRIMARY KEY,
    secret BLOB NOT NULL
);
CREATE TABLE hub_rooms (
    room TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    -- Of the newest event that the hub has accepted. Whoever appends one holds this row until the end of the transaction.
    position BIGINT NOT NULL
) WITHOUT ROWID;
CREATE TABLE hub_snapshots (
    room TEXT PRIMARY KEY,
    snapshot BLOB NOT NULL
);
CREATE TABLE hub_log (
    room TEXT NOT NULL,
    seq BIGINT NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;
CREATE TABLE hub_seen (
    room TEXT NOT NULL,
    hash BLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (room, hash)
) WITHOUT ROWID;

-- What waits to be taken by other providers, in the order of the room.
CREATE TABLE outbox (
    peer TEXT NOT NULL,
    room TEXT NOT NULL,
    position BIGINT NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (peer, room, position)
);
CREATE INDEX outbox_by_room ON outbox (room);

-- For each peer the rooms of which something waits, and who is bringing it: nobody else does before that time.
CREATE TABLE outbox_rooms (
    peer TEXT NOT NULL,
    room TEXT NOT NULL,
    since BIGINT NOT NULL,
    courier BIGINT NOT NULL DEFAULT 0,
    until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (peer, room)
) WITHOUT ROWID;
CREATE INDEX outbox_rooms_by_age ON outbox_rooms (peer, since);

-- Which of our devices wants the messages of which room, of our own hub's or another's.
CREATE TABLE room_clients (
    room TEXT NOT NULL,
    client TEXT NOT NULL,
    device BIGINT NOT NULL REFERENCES devices (id),
    PRIMARY KEY (room, client)
) WITHOUT ROWID;

-- What waits to be taken by our devices.
CREATE TABLE inbox (
    device BIGINT NOT NULL REFERENCES devices (id),
    sequence BIGINT NOT NULL,
    room TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (device, sequence)
);
CREATE INDEX inbox_by_room ON inbox (room);
CREATE TABLE notify_seen (
    hub TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (hub, hash)
) WITHOUT ROWID;

-- Rooms that were destroyed and have not left the file altogether: something about them still waits to be taken, or the
-- file has not been written anew since.
CREATE TABLE destroyed_rooms (
    room         TEXT PRIMARY KEY,
    destroyed_at BIGINT NOT NULL
) WITHOUT ROWID;
