-- The pseudonyms of an account, each sealed to a key that operators share. Where one stands says nothing of when it came.
CREATE TABLE tie_lists (
    account BIGINT NOT NULL,
    id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- By what the owner of an account recognises that its list was opened.
CREATE TABLE tie_list_marks (
    account BIGINT PRIMARY KEY,
    mark BLOB NOT NULL
) WITHOUT ROWID;
