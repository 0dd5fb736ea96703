-- What operators were asked about encrypted scores of accounts, and what came of it.
CREATE TABLE tie_questions (
    number BIGINT PRIMARY KEY,
    account BIGINT NOT NULL,
    -- 1: complaints; 2: reputation.
    about BIGINT NOT NULL,
    question BLOB NOT NULL,
    asked_at BIGINT NOT NULL,
    -- 0: none yet; 1: below the threshold; 2: reached.
    answer BIGINT NOT NULL DEFAULT 0,
    -- Which round has given it.
    round BIGINT NOT NULL DEFAULT 0
);
INSERT INTO numbers (kind, newest) VALUES ('question', -1);

-- Encrypted marks for good conduct, by cohort; and the period up to whose beginning they were counted.
CREATE TABLE tie_reputations (
    cohort BIGINT PRIMARY KEY,
    scores BLOB NOT NULL
);
INSERT INTO numbers (kind, newest) VALUES ('conduct', 0);

-- Accounts that have asked for more than their quota, and wait until their reputation was asked about.
CREATE TABLE tie_waiting (
    account BIGINT PRIMARY KEY
);

-- What accounts get beyond their quota in each period, by their reputation.
CREATE TABLE tie_granted (
    account BIGINT PRIMARY KEY,
    more BIGINT NOT NULL
);
