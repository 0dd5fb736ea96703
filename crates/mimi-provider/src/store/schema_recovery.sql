-- As a hub: a room that has gone back to an earlier epoch is on another branch. In the epoch that is closed, its GroupInfo
-- is given to nobody.
ALTER TABLE hub_rooms ADD COLUMN branch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hub_rooms ADD COLUMN closed_epoch BIGINT NOT NULL DEFAULT -1;

-- As a hub: users who have said that they cannot go along with a commit.
CREATE TABLE hub_reports (
    room TEXT NOT NULL,
    commit_hash BLOB NOT NULL,
    reporter TEXT NOT NULL,
    PRIMARY KEY (room, commit_hash, reporter)
) WITHOUT ROWID;

-- As a hub: users and clients that it mutes (1) or keeps out (2) by itself, and until when.
CREATE TABLE hub_remedies (
    room TEXT NOT NULL,
    name TEXT NOT NULL,
    remedy BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (room, name, remedy)
) WITHOUT ROWID;

-- As a hub: which knock room belongs to a room.
CREATE TABLE knock_rooms (
    room TEXT PRIMARY KEY,
    target TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX knock_rooms_by_target ON knock_rooms (target);
