-- What devices wait for. An event of a room is kept once, however many of our devices get it; one for a single device names
-- that. Numbers rise and none is given twice: a device that has taken everything up to a number gets what has a larger one.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room TEXT,
    device BIGINT REFERENCES devices (id),
    body BLOB NOT NULL
);
CREATE INDEX events_by_room ON events (room, id);
CREATE INDEX events_by_device ON events (device, id) WHERE device IS NOT NULL;

-- From which event of a room on, exclusively, up to which one, inclusively, a device gets them. 2^62 stands for no end.
CREATE TABLE mail_rooms (
    room TEXT NOT NULL,
    device BIGINT NOT NULL REFERENCES devices (id),
    begins BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    PRIMARY KEY (room, device, begins)
) WITHOUT ROWID;
CREATE INDEX mail_rooms_by_device ON mail_rooms (device, room);

-- Up to which event a device has taken everything.
CREATE TABLE cursors (
    device BIGINT PRIMARY KEY REFERENCES devices (id),
    taken BIGINT NOT NULL
) WITHOUT ROWID;

-- What waits already goes on waiting, behind every number that was given before.
INSERT INTO events (id, room, device, body)
    SELECT COALESCE(MAX(last_sequence), 0), NULL, NULL, CAST('' AS BLOB) FROM devices;
DELETE FROM events;
-- PostgreSQL: SELECT setval(pg_get_serial_sequence('events', 'id'), (SELECT COALESCE(MAX(last_sequence), 0) + 1 FROM devices), false);
INSERT INTO events (room, device, body) SELECT room, device, body FROM inbox ORDER BY device, sequence;
INSERT INTO mail_rooms (room, device, begins, ends)
    SELECT DISTINCT room, device, 0, 4611686018427387904 FROM room_clients;
DROP TABLE inbox;
ALTER TABLE devices DROP COLUMN last_sequence;
