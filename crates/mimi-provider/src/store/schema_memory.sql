-- As a hub: the epoch in which something was accepted. What is of an epoch that the room cannot be in again is refused for its
-- epoch alone, and need not be remembered for ever. What is there already counts as of the present epoch.
ALTER TABLE hub_seen ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
UPDATE hub_seen SET epoch = COALESCE((SELECT epoch FROM hub_rooms WHERE hub_rooms.room = hub_seen.room), 0);

-- As a local provider: when its hub accepted a message that was fanned out. One that is older than what is remembered is not
-- taken. What is there already has 0, and gets the time at which it is first looked at.
ALTER TABLE notify_seen ADD COLUMN sent_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX notify_seen_by_age ON notify_seen (sent_at);
