-- Hashes that say of whoever knows a user's name that there was such a user: of the user alone, and of the user with each
-- requester that was let have KeyPackages of it. Nothing in it names anybody, or says which of them were one account's, or
-- when they went.
CREATE TABLE deleted_users (
    hash BLOB PRIMARY KEY
) WITHOUT ROWID;

-- How many accounts were deleted: a process that knows devices by their tokens looks them up again when it has changed.
INSERT INTO numbers (kind, newest) VALUES ('deleted', 0);

-- KeyPackages that are given when there is no other, and stay.
ALTER TABLE key_packages ADD COLUMN last_resort BIGINT NOT NULL DEFAULT 0;
