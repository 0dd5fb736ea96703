-- How pseudonyms are tied to accounts, where the account does not simply stand beside them.

-- How many pseudonyms or tokens an account has drawn in a period of the quota.
CREATE TABLE tie_quota (
    account BIGINT NOT NULL,
    period BIGINT NOT NULL,
    drawn BIGINT NOT NULL,
    PRIMARY KEY (account, period)
) WITHOUT ROWID;

-- Requests for tokens that have been counted: the same again is not counted again.
CREATE TABLE tie_counted (
    request BLOB PRIMARY KEY,
    account BIGINT NOT NULL,
    period BIGINT NOT NULL
) WITHOUT ROWID;

-- Nonces of tokens that were spent.
CREATE TABLE tie_spent (
    nonce BLOB PRIMARY KEY
) WITHOUT ROWID;

-- What stands beside a pseudonym, by the pseudonym or, where that is not to be named, by a tag of it.
CREATE TABLE tie_rows (
    found_by BLOB PRIMARY KEY,
    tie BLOB NOT NULL
) WITHOUT ROWID;

-- Numbers of accounts among those whose scores are kept encrypted.
CREATE TABLE tie_seats (
    account BIGINT PRIMARY KEY,
    seat BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO numbers (kind, newest) VALUES ('seat', -1);
