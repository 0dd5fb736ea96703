-- For each peer and room since when the peer has refused what is brought, in milliseconds; 0 if it has not.
ALTER TABLE outbox_rooms ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;
