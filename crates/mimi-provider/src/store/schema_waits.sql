-- For each peer and room since when the peer has taken nothing of it although something waits, in milliseconds.
ALTER TABLE outbox_rooms ADD COLUMN waits BIGINT NOT NULL DEFAULT 0;
UPDATE outbox_rooms SET waits = since;
