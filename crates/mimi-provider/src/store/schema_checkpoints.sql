-- What operators have signed of the log of openings: how many entries it had, and the root of their tree. Two rows of one size with
-- different roots prove that somebody was shown another log.
CREATE TABLE tie_checkpoints (
    size BIGINT NOT NULL,
    root BLOB NOT NULL,
    operator BIGINT NOT NULL,
    key_id BLOB NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (size, root, operator, key_id)
) WITHOUT ROWID;
