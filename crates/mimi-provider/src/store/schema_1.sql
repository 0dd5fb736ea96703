-- Accounts and their devices. Of tokens and codes only the SHA-256 is kept.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL UNIQUE COLLATE NOCASE,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- Whether anybody gets KeyPackages that are good for initial connections only.
    initial_connections INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    client TEXT NOT NULL UNIQUE,
    token_hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE enrolments (
    code_hash BLOB PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id)
) WITHOUT ROWID;

-- What accounts can be found by. Nothing that is hidden stands in an index: a search for it takes as long as one for
-- what does not exist.
CREATE TABLE profile_fields (
    account INTEGER NOT NULL REFERENCES accounts (id),
    -- The number of the field in draft-ietf-mimi-protocol-06, section 5.8; of a claim or property its name besides.
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    folded TEXT NOT NULL,
    -- 1: hidden; 2: found by exactly this; 3: by a part of it as well, and shown.
    visibility INTEGER NOT NULL,
    is_name INTEGER NOT NULL
);
CREATE INDEX profile_fields_by_account ON profile_fields (account);
CREATE INDEX profile_fields_by_value ON profile_fields (kind, folded) WHERE visibility >= 2;

-- The tie between an account and its pseudonyms. This is the only table in which both stand side by side; nothing in it
-- leaves the provider, and nothing of it is logged.
CREATE TABLE pseudonyms (
    pseudonym TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    -- Hash of the request that asked for it, if that can be repeated.
    request BLOB
) WITHOUT ROWID;
CREATE INDEX pseudonyms_by_request ON pseudonyms (request) WHERE request IS NOT NULL;

-- Client URIs under a pseudonym: one for each device, pseudonym and key.
CREATE TABLE client_pseudonyms (
    client TEXT PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices (id),
    user TEXT NOT NULL,
    public_key BLOB NOT NULL,
    UNIQUE (device, user, public_key)
) WITHOUT ROWID;

-- KeyPackages of our clients. A claimed one stays until it has expired: a Welcome may still name it. Until it has been
-- used, the request that claimed it gets it again: its answer may have been lost.
CREATE TABLE key_packages (
    ref BLOB PRIMARY KEY,
    owner TEXT NOT NULL,
    client TEXT NOT NULL,
    device INTEGER NOT NULL REFERENCES devices (id),
    suite INTEGER NOT NULL,
    initial_only INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    octets BLOB NOT NULL,
    -- 0: to be had; 1: claimed; 2: a Welcome has used it.
    claimed INTEGER NOT NULL DEFAULT 0,
    claimed_by BLOB
);
CREATE INDEX key_packages_by_owner ON key_packages (owner, initial_only, claimed);

-- What our users have said of who may have their KeyPackages; an empty room stands for any.
CREATE TABLE consents (
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    room TEXT NOT NULL,
    granted INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    PRIMARY KEY (target, requester, room)
) WITHOUT ROWID;

-- Requests for consent that wait for one of our users.
CREATE TABLE consent_requests (
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    room TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id),
    asked_at INTEGER NOT NULL,
    PRIMARY KEY (target, requester, room)
) WITHOUT ROWID;
CREATE INDEX consent_requests_by_account ON consent_requests (account);

-- As a hub: the KeyPackages with which clients came into its rooms. None is used twice (RFC 9420, section 16.8).
CREATE TABLE used_key_packages (
    ref BLOB PRIMARY KEY,
    used_at INTEGER NOT NULL
) WITHOUT ROWID;

-- As a hub: which provider gave a KeyPackage, and so gets the Welcome that names it.
CREATE TABLE hub_kp_routes (
    ref BLOB PRIMARY KEY,
    domain TEXT NOT NULL
) WITHOUT ROWID;

-- As a hub: rooms. A room is its snapshot and the log entries behind it.
CREATE TABLE hub_keys (
    suite INTEGER PRIMARY KEY,
    secret BLOB NOT NULL
);
CREATE TABLE hub_rooms (
    room TEXT PRIMARY KEY,
    snapshot BLOB NOT NULL,
    epoch INTEGER NOT NULL
);
CREATE TABLE hub_log (
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;
CREATE TABLE hub_seen (
    room TEXT NOT NULL,
    hash BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (room, hash)
) WITHOUT ROWID;

-- What waits to be taken by other providers, oldest first.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    room TEXT NOT NULL,
    message BLOB NOT NULL
);
CREATE INDEX outbox_by_peer ON outbox (peer, room, id);

-- Which of our devices wants the messages of which room, of our own hub's or another's.
CREATE TABLE room_clients (
    room TEXT NOT NULL,
    client TEXT NOT NULL,
    device INTEGER NOT NULL REFERENCES devices (id),
    PRIMARY KEY (room, client)
) WITHOUT ROWID;

-- What waits to be taken by our devices.
CREATE TABLE inbox (
    device INTEGER NOT NULL REFERENCES devices (id),
    sequence INTEGER NOT NULL,
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
    destroyed_at INTEGER NOT NULL
) WITHOUT ROWID;
