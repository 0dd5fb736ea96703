-- As a hub: a room can go back to an earlier epoch. A snapshot says up to which log entry it goes, the one before it is kept,
-- and the log from there on.
ALTER TABLE hub_snapshots ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hub_log ADD COLUMN hash BLOB;
CREATE TABLE hub_past (
    room TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    snapshot BLOB NOT NULL
);

-- As a hub: how many times proposals were added to those that wait in the present epoch.
ALTER TABLE hub_rooms ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0;

-- As a hub: links by which others join its rooms. Of a code only the SHA-256 is kept. A link without a limit has 2^62 uses
-- left, and one that never ends ends at 2^62.
CREATE TABLE join_links (
    room TEXT NOT NULL,
    code_hash BLOB NOT NULL,
    role BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    maker TEXT NOT NULL,
    PRIMARY KEY (room, code_hash)
) WITHOUT ROWID;

-- As a hub: who was given the GroupInfo of a room and may join by it: the hash of its key, and that of the code it showed.
CREATE TABLE visitors (
    room TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    code_hash BLOB,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (room, key_hash)
) WITHOUT ROWID;
CREATE INDEX visitors_by_age ON visitors (expires_at);

-- As a hub: participants who came by themselves into a room that limits what they may send, and what they have sent.
CREATE TABLE guests (
    room TEXT NOT NULL,
    guest TEXT NOT NULL,
    came_at BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    PRIMARY KEY (room, guest)
) WITHOUT ROWID;
CREATE INDEX guests_by_age ON guests (came_at);

-- As a local provider: rooms of other hubs in which not all of our users get application messages, and those who do.
CREATE TABLE audiences (
    room TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE audience_users (
    room TEXT NOT NULL,
    hearer TEXT NOT NULL,
    PRIMARY KEY (room, hearer)
) WITHOUT ROWID;
