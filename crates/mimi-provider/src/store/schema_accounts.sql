-- As a home provider: accounts that the operator knows to belong together have the same number.
CREATE TABLE related_accounts (
    account BIGINT PRIMARY KEY,
    circle BIGINT NOT NULL
);
CREATE INDEX related_accounts_by_circle ON related_accounts (circle);
INSERT INTO numbers (kind, newest) VALUES ('circle', 0);

-- As a home provider: what is done about accounts of its own, and about which account it was decided: the same, a related
-- one, or 0 if the operator has decided it.
CREATE TABLE account_decisions (
    account BIGINT NOT NULL,
    cause BIGINT NOT NULL,
    remedy TEXT NOT NULL,
    explanation TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (account, cause)
);
INSERT INTO account_decisions (account, cause, remedy, explanation, decided_at)
    SELECT account, account, remedy, explanation, decided_at FROM account_remedies;
DROP TABLE account_remedies;

-- Whether related accounts are meant as well.
ALTER TABLE remedy_requests ADD COLUMN related BIGINT NOT NULL DEFAULT 0;

-- Whether it was looked at for encrypted scores: 1 if it counts there, 2 if it does not.
ALTER TABLE remedy_requests ADD COLUMN scored BIGINT NOT NULL DEFAULT 0;

-- Whether the user leaves its rooms at that moment.
ALTER TABLE silenced_users ADD COLUMN leaves BIGINT NOT NULL DEFAULT 0;

-- As a home provider: rooms that a user of its own is to leave, of its own hub's or another's. The request to the hub has
-- the id, is made once, and is sent again until the user is out.
CREATE TABLE removals (
    subject TEXT NOT NULL,
    room TEXT NOT NULL,
    id BLOB NOT NULL,
    begun_at BIGINT NOT NULL,
    again_at BIGINT NOT NULL,
    PRIMARY KEY (subject, room)
);
CREATE INDEX client_pseudonyms_by_user ON client_pseudonyms (user_uri);
CREATE INDEX room_clients_by_client ON room_clients (client);

-- As a hub: requests of users' providers to remove them, as they were signed.
CREATE TABLE hub_removals (
    room TEXT NOT NULL,
    subject TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (room, subject)
);

-- As a home provider: what users say against what was decided about their accounts. 1: it waits; 2: granted; 3: refused.
CREATE TABLE appeals (
    account BIGINT PRIMARY KEY,
    appeal TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    state BIGINT NOT NULL
);

-- The log of openings of sealed accounts.
CREATE TABLE tie_openings (
    position BIGINT PRIMARY KEY,
    entry BLOB NOT NULL
);

-- Encrypted scores, by cohort.
CREATE TABLE tie_scores (
    cohort BIGINT PRIMARY KEY,
    scores BLOB NOT NULL
);
